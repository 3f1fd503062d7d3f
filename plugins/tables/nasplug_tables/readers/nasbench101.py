"""The official record files of NAS-Bench-101, `nasbench_only108.tfrecord` and `nasbench_full.tfrecord`.

Each record is one training, as JSON: hash of the cell, epochs, adjacency matrix, operations, and the measured values as
a base64 text of a protocol-buffer message (Ying et al., ICML 2019, arXiv 1902.09635; api.py of the released code).
"""

from __future__ import annotations

import base64
import math
from array import array
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from nasplug.contract.errors import DataError
from nasplug.contract.jsondata import parse_json
from nasplug.contract.wording import plural
from nasplug_tables.readers.model_metrics import ModelMetrics, parse
from nasplug_tables.readers.tfrecord import read_records
from nasplug_tables.spaces.nasbench101.cells import OPERATIONS, Cell, canonical, edge_bit, is_valid, module_hash, prune
from nasplug_tables.table import Table

_EXPECTED = "a record file of NAS-Bench-101"
_METRICS = ("val_acc", "test_acc", "train_time")
#: Evaluations of a training: at its start, half-way, and at its end.
_LAST = 2


class _Rows:
    """The cells met so far and every training of them, in flat arrays: a file holds up to five million trainings."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self.cells: list[Cell] = []
        self.params: list[int] = []
        self.runs: Counter[tuple[int, int]] = Counter()
        self.row, self.epochs, self.seed = array("I"), array("H"), array("H")
        self.values = {name: array("d") for name in _METRICS}

    def add(self, name: str, epochs: int, matrix: str, operations: str, metrics: ModelMetrics) -> None:
        """Takes one training.

        Raises:
            ValueError: The cell is not the one its hash names, or the training has no last evaluation.
        """
        if name not in self.rows:
            self.rows[name] = len(self.cells)
            self.cells.append(_cell(name, matrix, operations))
            self.params.append(metrics.parameters)
        row = self.rows[name]
        if metrics.parameters != self.params[row]:
            raise ValueError(
                f"the cell has {plural(metrics.parameters, 'parameter')} here and {self.params[row]} in another"
            )
        if len(metrics.evaluations) <= _LAST:
            raise ValueError(f"it has {plural(len(metrics.evaluations), 'evaluation')} instead of three")
        last = metrics.evaluations[_LAST]
        self.row.append(row)
        self.epochs.append(epochs)
        self.seed.append(self.runs[row, epochs])
        self.runs[row, epochs] += 1
        for metric, value in zip(_METRICS, (last.validation, last.test, last.seconds), strict=True):
            self.values[metric].append(value)

    def table(self, path: Path) -> Table:
        """Rows in the order of the hash, as everybody numbers them."""
        names = sorted(self.rows)
        old = np.array([self.rows[name] for name in names])
        position = np.empty_like(old)
        position[old] = np.arange(len(old))
        cells = [self.cells[row] for row in old]
        columns: dict[str, np.ndarray[Any, Any]] = {
            "hash64": np.array([int(name[:16], 16) for name in names], dtype=np.uint64),
            "num_vertices": np.array([cell.vertices for cell in cells], dtype=np.uint8),
            "adj_bits": np.array([cell.bits for cell in cells], dtype=np.uint32),
            "ops": np.array(["".join(map(str, cell.operations)) for cell in cells], dtype="S"),
            "params": np.array(self.params, dtype=np.uint32)[old],
        }
        row, epochs, seed = (np.asarray(part) for part in (self.row, self.epochs, self.seed))
        for budget in np.unique(epochs):
            for run in np.unique(seed[epochs == budget]):
                chosen = (epochs == budget) & (seed == run)
                for metric, values in self.values.items():
                    column = np.full(len(names), math.nan)
                    column[position[row[chosen]]] = np.asarray(values)[chosen]
                    columns[f"{metric}_{budget}_seed{run}"] = column
        return Table(columns, _info(path))


def read(source: str | Path) -> Table:
    """Reads a record file; the larger one takes a few minutes.

    Checksums, the hash of every cell and the structure of every message are checked.

    Args:
        source: Path of the file.

    Returns:
        One row per cell, in the order of its hash, with the canonical cell, the published number of parameters, and
        for every number of epochs and run val_acc, test_acc (fractions) and train_time (seconds) at the end.

    Raises:
        DataError: The file is missing, truncated, or something else.
    """
    path, rows = Path(source), _Rows()
    for number, record in enumerate(read_records(path, _EXPECTED)):
        try:
            name, epochs, matrix, operations, metrics = parse_json(record)
            rows.add(name, int(epochs), matrix, operations, parse(base64.b64decode(metrics, validate=True)))
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            raise DataError(
                f"record {number} is not a training run of a cell, so the file is not {_EXPECTED}",
                where=str(path),
                why=str(error),
                fix="give nasbench_only108.tfrecord or nasbench_full.tfrecord from the benchmark's own source",
            ) from error
    return rows.table(path)


def _cell(name: str, matrix: str, operations: str) -> Cell:
    labels = operations.split(",")
    size = len(labels)
    if len(matrix) != size * size or (labels[0], labels[-1]) != ("input", "output") or size < 2:
        raise ValueError(
            f"an adjacency matrix of {plural(len(matrix), 'entry')} does not fit the vertices {operations}"
        )
    unknown = set(labels[1:-1]) - set(OPERATIONS)
    if unknown:
        raise ValueError(f"unknown operations: {', '.join(sorted(unknown))}")
    edges = [divmod(position, size) for position, entry in enumerate(matrix) if entry != "0"]
    if any(x >= y for x, y in edges) or set(matrix) > {"0", "1"}:
        raise ValueError("the adjacency matrix is not upper triangular")
    cell = Cell(sum(1 << edge_bit(x, y) for x, y in edges), tuple(OPERATIONS.index(label) for label in labels[1:-1]))
    pruned = prune(cell) if is_valid(cell) else None
    if pruned is None:
        raise ValueError("the cell is not in the search space")
    found = canonical(pruned)
    if module_hash(found) != name:
        raise ValueError(f"the hash of its cell is {module_hash(found)}, not {name}")
    return found


def _info(path: Path) -> dict[str, Any]:
    return {
        "space": "nasbench101",
        "dataset": "cifar10",
        "unit": "fraction",
        "source": f"{path.name} of NAS-Bench-101 (arXiv 1902.09635)",
        "license": "Apache-2.0",
    }
