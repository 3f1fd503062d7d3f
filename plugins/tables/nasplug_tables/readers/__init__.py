"""Readers of the files in which NAS benchmarks are published. Each gives a `nasplug_tables.Table`.

Importing this package imports none of them.
"""

from __future__ import annotations

from nasplug_tables.readers.formats import FORMATS, Format, read_table

__all__ = ["FORMATS", "Format", "read_table"]
