"""Which package of this project has a name, for messages to somebody who has not installed it.

This is a directory and nothing more: it decides nothing, and packages of others work without an entry here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nasplug.plugins.catalog import Catalog


@dataclass(frozen=True, slots=True)
class Package:
    """One package of this project.

    Attributes:
        purpose: Purpose, as a verb phrase.
        names: Names that it announces, by kind of component; `optuna` stands for `optuna.tpe` and the like too.
    """

    purpose: str
    names: Mapping[str, tuple[str, ...]]


#: By distribution.
PACKAGES: dict[str, Package] = {
    "nasplug-ablation": Package(
        "say what the parts of a module, its data and its training are worth",
        {**dict.fromkeys(("strategy", "space", "task", "wrapper"), ("ablation",)), "command": ("ablate",)},
    ),
    "nasplug-bogk": Package("search with graph kernels", {"strategy": ("bogk",), "command": ("motifs",)}),
    "nasplug-cgap": Package(
        "grow and prune networks, learn classes in stages, and search for stable networks",
        {
            **dict.fromkeys(("strategy", "space", "task", "evaluator", "callback"), ("cgap",)),
            "cost": ("stability", "roughness"),
        },
    ),
    "nasplug-darts-lp": Package(
        "train networks of low precision, and search by gradients",
        dict.fromkeys(("strategy", "space", "wrapper", "callback", "exporter"), ("darts_lp",)),
    ),
    "nasplug-emonas": Package(
        "search with EMONAS, and count one bits",
        {
            "strategy": ("emonas",),
            "space": ("emonas",),
            "callback": ("emonas",),
            "cost": ("boo",),
            "command": ("boo",),
        },
    ),
    "nasplug-infonas": Package(
        "embed architectures with arch2vec and info-NAS", {"strategy": ("infonas",), "command": ("infonas",)}
    ),
    "nasplug-npu": Package(
        "price networks on neural processing units",
        dict.fromkeys(("target", "cost", "command", "callback", "space", "evaluator"), ("npu",)),
    ),
    "nasplug-optuna": Package("search with Optuna's samplers", dict.fromkeys(("strategy", "command"), ("optuna",))),
    "nasplug-qnas": Package(
        "search with Q-NAS, and in its spaces", dict.fromkeys(("strategy", "space", "task"), ("qnas",))
    ),
    "nasplug-ray": Package("run trials on a Ray cluster", {"executor": ("ray",)}),
    "nasplug-reduction": Package(
        "make trained networks smaller",
        {**dict.fromkeys(("strategy", "space", "task", "callback"), ("reduction",)), "command": ("shrink",)},
    ),
    "nasplug-slurm": Package("run trials on Slurm", {"executor": ("slurm",)}),
    "nasplug-tables": Package(
        "search and compare strategies on tables of results",
        {
            "space": ("nasbench101", "nasbench201", "table"),
            "evaluator": ("tabular",),
            "target": ("table",),
            "cost": ("column",),
            "command": ("bench", "table"),
        },
    ),
    "nasplug-zerocost": Package("compute zero-cost proxies", {"cost": ("zerocost",)}),
}


def offering(name: str, *kinds: str) -> str | None:
    """The distribution of this project that announces a name, or None.

    Args:
        name: A slug such as `optuna.tpe`, a target such as `table:FILE#DEVICE`, or the key of a cost.
        *kinds: Kinds of components; without one all are looked through.
    """
    word = re.split("[:/]", name, maxsplit=1)[0]
    for distribution, package in PACKAGES.items():
        for kind, names in package.names.items():
            if (not kinds or kind in kinds) and (word in names or word.partition(".")[0] in names):
                return distribution
    return None


def missing(catalog: Catalog, name: str, *kinds: str) -> tuple[str | None, str | None]:
    """Why a name is not in the catalogue although a package of this project has it, and what to do.

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
