"""The commands `nasplug bench` and `nasplug table`, a module each."""

from nasplug_tables.cli import bench, table

__all__ = ["bench", "table"]
