"""A small table for `nasplug test-plugin tables`, which no component can be tried without."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from nasplug_tables import nasbench201
from nasplug_tables.spaces.nasbench201 import NASBench201
from nasplug_tables.table import Table


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="nasplug-tables-")  # goes with the process


@cache
def example() -> str:
    """Writes a table of all cells of NAS-Bench-201 whose values count convolutions; returns its path.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    cells = nasbench201.cells()
    convolutions = np.array([cell.count("2") + cell.count("3") for cell in cells], dtype=np.float64)
    columns = {
        "ops": np.array(cells, dtype="S"),
        "val_acc_12": 10.0 + convolutions,
        "chip_latency": 1.0 + convolutions,  # milliseconds
        "chip_energy": 2.0 + convolutions,  # millijoules
    }
    table = Table(columns, {"space": "nasbench201", "unit": "percent"})
    return str(table.write(Path(_folder().name) / "example.parquet"))


def suite(**attributes: Any) -> Mapping[str, Any]:
    """Attributes of a conformance suite that runs on the example, which are small networks of its space."""
    return {"make_space": lambda self: NASBench201(channels=2, cells=1), **attributes}
