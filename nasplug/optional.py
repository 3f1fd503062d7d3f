"""Imports of libraries that only some installations have; for plugins as well."""

from __future__ import annotations

import importlib
import importlib.util
import random
from types import ModuleType

from nasplug.contract.errors import MissingExtraError


def available(module: str) -> bool:
    """Whether `module` is installed; imports nothing."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # a parent package is absent
        return False


def require(module: str, *, extra: str, purpose: str, distribution: str = "nasplug") -> ModuleType:
    """Imports an optional module, or says which extra brings it.

    Args:
        module: Dotted name to import.
        extra: The extra that installs it.
        purpose: Purpose, as a verb phrase: "draw plots".
        distribution: The distribution that has the extra, such as `nasplug-npu`.

    Raises:
        MissingExtraError: The module is not installed.
    """
    before = random.getstate()
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        if missing.split(".")[0] != module.split(".")[0]:
            raise  # the library is there, something of its own is not: its own message says more
        raise MissingExtraError(
            f"{module.split('.')[0]} is needed to {purpose}, and is not installed",
            fix=f'pip install "{distribution}[{extra}]"',
        ) from error
    finally:
        random.setstate(before)  # some libraries draw from it while they are imported, as scikit-learn does
