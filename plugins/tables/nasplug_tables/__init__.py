"""Tables of results: what others have measured for every architecture of a space."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nasplug_tables.benchmark import TabularBenchmark
    from nasplug_tables.table import Table

_HOMES = {"Table": "nasplug_tables.table", "TabularBenchmark": "nasplug_tables.benchmark"}
__all__ = ["Table", "TabularBenchmark"]


def __getattr__(name: str) -> Any:
    """Public names, imported on first use, so that announcing the package stays quick.

    Raises:
        AttributeError: No such name.
    """
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = found
    return found
