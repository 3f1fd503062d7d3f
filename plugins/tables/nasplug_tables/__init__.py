"""Tables of results: what others have measured for every architecture of a space."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasplug.lazy import attach

if TYPE_CHECKING:
    from nasplug_tables.benchmark import TabularBenchmark
    from nasplug_tables.table import Table

_HOMES = {"Table": "nasplug_tables.table", "TabularBenchmark": "nasplug_tables.benchmark"}
__all__ = ["Table", "TabularBenchmark"]

__getattr__, __dir__ = attach(__name__, _HOMES)
