"""Public names of packages that are imported on first use, so that importing the package stays quick."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def attach(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Returns the module functions `__getattr__` and `__dir__` of a package.

    Type checkers do not see the names; import them under `if TYPE_CHECKING:` as well.

    Example:
        >>> __all__ = ["Table"]
        >>> __getattr__, __dir__ = attach(__name__, {"Table": "nasplug_tables.table"})

    Args:
        package: Name of the package, `__name__`.
        homes: Module of every public name.
    """

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(homes[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return load, names
