"""Tables of results: what others have measured for every architecture of a space."""

from nasplug.tables.benchmark import TabularBenchmark
from nasplug.tables.table import Table

__all__ = ["Table", "TabularBenchmark"]
