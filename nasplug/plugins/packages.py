"""Which known package has a name, for messages to somebody who has not installed it.

This is a directory and nothing more: it decides nothing, and packages of others work without an entry here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nasplug.plugins.catalog import Catalog


@dataclass(frozen=True, slots=True)
class Package:
    """One known package.

    Attributes:
        purpose: Purpose, as a verb phrase.
        contract: Contract that it was written for.
        licence: SPDX identifier.
        status: `stable`, `beta` or `experimental`.
        page: Address of its documentation, or its folder in the repository of this project.
        names: Names that it announces, by kind of component; `optuna` stands for `optuna.tpe` and the like too.
    """

    purpose: str
    contract: str
    licence: str
    status: str
    page: str
    names: Mapping[str, tuple[str, ...]]


@cache
def known() -> Mapping[str, Package]:
    """All known packages by distribution, in alphabetical order, from `directory.toml`."""
    import tomllib

    text = files("nasplug.plugins").joinpath("directory.toml").read_text(encoding="utf-8")
    found = {}
    for name, facts in sorted(tomllib.loads(text).items()):
        names = {kind: tuple(words) for kind, words in facts.pop("names").items()}
        found[name] = Package(**facts, names=names)
    return found


def offering(name: str, *kinds: str) -> str | None:
    """The known distribution that announces a name, or None.

    Args:
        name: A slug such as `optuna.tpe`, a target such as `table:FILE#DEVICE`, or the key of a cost.
        *kinds: Kinds of components; without one all are looked through.
    """
    word = re.split("[:/]", name, maxsplit=1)[0]
    for distribution, package in known().items():
        for kind, names in package.names.items():
            if (not kinds or kind in kinds) and (word in names or word.partition(".")[0] in names):
                return distribution
    return None


def missing(catalog: Catalog, name: str, *kinds: str) -> tuple[str | None, str | None]:
    """Why a name is not in the catalogue although a known package has it, and what to do.

    Args:
        catalog: Catalog that is loaded.
        name: Name that was asked for.
        *kinds: Kinds of components it could be; without one all are looked through.

    Returns:
        Two parts of an error's message; two times None if no such package has the name, or if it is loaded.
    """
    distribution = offering(name, *kinds)
    if distribution is None or any(entry.distribution.split(" ")[0] == distribution for entry in catalog):
        return None, None
    if is_installed(distribution):  # broken, written for another contract, or kept out by NASPLUG_PLUGINS
        return f"it comes with {distribution}, which is installed and left out", "`nasplug plugins` says more"
    return f"it comes with {distribution}, which is not installed", f"pip install {distribution}"


def is_installed(distribution: str) -> bool:
    """Whether a distribution is installed."""
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True
