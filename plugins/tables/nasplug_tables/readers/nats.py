"""The official archives of NAS-Bench-201 and of the topology space of NATS-Bench.

Three layouts of the same states (Dong and Yang, ICLR 2020, arXiv 2001.00326; Dong et al., arXiv 2009.00437; and
api_utils.py of the released code): one compressed pickle `NATS-tss-*.pickle.pbz2`, a folder `NATS-tss-*-simple` with
one such file per cell, and `NAS-Bench-201-v1_*.pth`. Pickles are read as plain data, the .pth file with torch's reader
of weights.
"""

from __future__ import annotations

import bz2
import math
import pickle
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nasplug.contract.errors import DataError, SpaceError
from nasplug.contract.wording import plural
from nasplug.optional import require
from nasplug_tables import nasbench201
from nasplug_tables.readers.plain_pickle import load_plain
from nasplug_tables.spaces.nasbench201 import NASBench201
from nasplug_tables.table import Table

_EXPECTED = "an archive of NAS-Bench-201 or of NATS-Bench's topology space"
_FIX = "give NATS-tss-v1_0-*.pickle.pbz2, its -simple folder, or NAS-Bench-201-v1_*.pth from the official source"
_SUFFIX = ".pickle.pbz2"
#: For each dataset: name of the training and of the image set for validation, and for test. On CIFAR-10 the network is
#: tested after a second training, on the training and the validation images.
_SETS = {
    "cifar10": (("cifar10-valid", "x-valid"), ("cifar10", "ori-test")),
    "cifar100": (("cifar100", "x-valid"), ("cifar100", "x-test")),
    "ImageNet16-120": (("ImageNet16-120", "x-valid"), ("ImageNet16-120", "x-test")),
}


class _Trainings:
    """Measured values by metric, epochs and seed, and then by number of the cell."""

    def __init__(self, dataset: str) -> None:
        self.sets = dict(zip(("val_acc", "test_acc"), _SETS[dataset], strict=True))
        self.classes = nasbench201.CLASSES[dataset]
        self.cells: dict[int, str] = {}
        self.values: dict[tuple[str, int, int], dict[int, float]] = defaultdict(dict)
        self.times: dict[int, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        self.latency: dict[int, list[float]] = defaultdict(list)
        self.read, self.foreign = 0, 0

    def add(self, states: Mapping[Any, Any]) -> None:
        """Takes the trainings of one cell: states by schedule.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: They are built otherwise.
            SpaceError: The cell is none.
        """
        for state in states.values():
            cell = _cell(state["arch_str"])
            number = nasbench201.numbers()[cell]
            self.cells[number] = cell
            for (training, seed), run in state["all_results"].items():
                for metric, (wanted, images) in self.sets.items():
                    if training == wanted:
                        self._add_run(number, metric, images, int(seed), run)

    def _add_run(self, number: int, metric: str, images: str, seed: int, run: Mapping[str, Any]) -> None:
        self.read += 1
        if abs(run["params"] * 1e6 - nasbench201.parameters(self.cells[number], self.classes)) > 0.5:
            self.foreign += 1  # a training of another cell under this cell's name
            return
        epochs = int(run["epochs"])
        accuracy = run["eval_acc1es"].get(f"{images}@{epochs - 1}")
        if accuracy is not None:
            self.values[metric, epochs, seed][number] = float(accuracy)
        if metric == "val_acc":
            if run["train_times"]:
                self.times[epochs][number].append(float(sum(run["train_times"].values())))
            self.latency[number] += [float(value) for value in run["latency"] or () if value > 0]

    def table(self, info: dict[str, Any]) -> Table:
        """One row per cell, by its number; seeds are counted from 0 in ascending order, `info["seeds"]` names them."""
        numbers = sorted(self.cells)
        seeds: dict[int, list[int]] = defaultdict(list)
        for epochs, seed in sorted({(epochs, seed) for _, epochs, seed in self.values}):
            seeds[epochs].append(seed)
        columns: dict[str, np.ndarray[Any, Any]] = {
            "index": np.array(numbers, dtype=np.uint16),
            "ops": np.array([self.cells[number] for number in numbers], dtype="S"),
            "params": np.array(
                [nasbench201.parameters(self.cells[number], self.classes) for number in numbers], dtype=np.uint32
            ),
        }
        for metric, epochs, seed in sorted(self.values):
            found = self.values[metric, epochs, seed]
            columns[f"{metric}_{epochs}_seed{seeds[epochs].index(seed)}"] = np.array(
                [found.get(number, math.nan) for number in numbers]
            )
        for epochs, times in sorted(self.times.items()):
            columns[f"train_time_{epochs}"] = np.array([_mean(times.get(number)) for number in numbers])
        if self.latency:
            columns["latency"] = np.array([_mean(self.latency.get(number)) for number in numbers])
        return Table(columns, {**info, "seeds": {str(epochs): found for epochs, found in seeds.items()}})


def read(source: str | Path, dataset: str) -> Table:
    """Reads an archive. The large files need the memory they need with the official code; the folder needs little.

    Runs whose network size does not match the cell are dropped (NaN).

    Args:
        source: Path of the file or folder.
        dataset: `cifar10`, `cifar100` or `ImageNet16-120`.

    Returns:
        Rows by the benchmark's number of the cell, with columns index, ops, params, val_acc and test_acc (percent) at
        the end of each schedule for every seed, train_time (seconds, mean over seeds), latency (seconds per batch).

    Raises:
        DataError: The source is missing, damaged, or something else, or holds nothing on the dataset.
        MissingExtraError: The source is a .pth file and torch is not installed.
    """
    path, trainings = Path(source), _Trainings(dataset)
    for where, states in _states(path):
        try:
            trainings.add(states)
        except (KeyError, TypeError, ValueError, AttributeError, SpaceError) as error:
            raise DataError(
                f"its states are not those of {_EXPECTED}",
                where=where,
                why=f"{type(error).__name__}: {error}",
                fix=_FIX,
            ) from error
    if not trainings.values:
        raise DataError(
            f"it holds no training on {dataset}",
            where=str(path),
            why=f"network size and cell do not match in {trainings.foreign} of {plural(trainings.read, 'run')}",
            fix=_FIX,
        )
    return trainings.table(
        {
            "space": "nasbench201",
            "dataset": dataset,
            "unit": "percent",
            "source": f"{path.name} (arXiv 2001.00326, arXiv 2009.00437)",
            "license": "MIT",
        }
    )


def _states(path: Path) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """(name of the file for messages, states by schedule) of every cell."""
    if path.is_dir():
        files = sorted(file for file in path.glob(f"*{_SUFFIX}") if file.name != f"meta{_SUFFIX}")
        if not files:
            raise DataError(f"the folder holds no *{_SUFFIX}", where=str(path), fix=_FIX)
        for file in files:
            yield str(file), _load_pickle(file)
        return
    if not path.is_file():
        raise DataError("there is no such file or folder", where=str(path), fix=_FIX)
    archive = _load_torch(path) if path.suffix == ".pth" else _load_pickle(path)
    states = archive.get("arch2infos")
    if not isinstance(states, Mapping):
        raise DataError(f"the file is not {_EXPECTED}", where=str(path), why="it has no key 'arch2infos'", fix=_FIX)
    for number, state in states.items():
        yield f"{path}, cell {number}", state


def _load_pickle(path: Path) -> dict[Any, Any]:
    with bz2.open(path, "rb") as file:
        return load_plain(file, str(path), _EXPECTED)


def _load_torch(path: Path) -> dict[Any, Any]:
    torch = require("torch", extra="train", purpose="read .pth files")
    # Numbers of numpy are harmless; the factory has had two names.
    factory = np.float64(0.0).__reduce__()[0]
    harmless = [(factory, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    kinds = [type(np.dtype(code)) for code in ("f4", "f8", "i4", "i8")]
    try:
        with torch.serialization.safe_globals([*harmless, np.dtype, *kinds]):
            found = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(found, dict):
            raise pickle.UnpicklingError(f"it holds a {type(found).__name__}, not a dictionary")
    except Exception as error:  # a damaged file can fail in any way
        raise DataError(
            f"the file is not {_EXPECTED}", where=str(path), why=str(error).split("\n")[0][:300], fix=_FIX
        ) from error
    return found


def _cell(text: str) -> str:
    """Digits of `|nor_conv_3x3~0|+|none~0|skip_connect~1|+|...|`."""
    return "".join(map(str, _SPACE.vector(_SPACE.parse(text))))


_SPACE = NASBench201()


def _mean(values: list[float] | None) -> float:
    return sum(values) / len(values) if values else math.nan
