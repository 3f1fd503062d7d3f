"""Tables of numbers and categories with target columns: CSV, Parquet, and arrays in an .npz file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import DataError, did_you_mean
from nasplug.contract.wording import plural
from nasplug.data.archives import arrays_in
from nasplug.data.columns import (
    MOST,
    Columns,
    column,
    encoded,
    inputs,
    numbers,
    read_columns,
    refuse_missing,
    scale_of,
)
from nasplug.data.samples import Samples, SampleSource, Targets
from nasplug.data.source import existing_file

_FORMATS = (".csv", ".tsv", ".parquet", ".npz")


class Table(SampleSource):
    """Reads a table whose rows are samples: a CSV file with a header (`.csv`, `.tsv`), Parquet (`.parquet`), or `.npz`.

    Columns of numbers are inputs as they are, columns of texts one input for each of their values. An .npz file holds
    `x_train`, `y_train` and where there are such splits `x_val`, `y_val`, `x_test`, `y_test`, with `x` of shape (N, F)
    for rows, or (N, H, W) or (N, H, W, C) for images.

    Args:
        path: The file.
        target: Column or columns of the targets; None means the last one. Not for .npz files.
        ignore: Columns to leave out, such as row numbers.
        split: Column that says `train`, `val` or `test`; None divides by the task's fractions.
    """

    def __init__(
        self,
        path: str,
        target: str | list[str] | None = None,
        ignore: list[str] | None = None,
        split: str | None = None,
    ) -> None:
        self.path = path
        self.target = target
        self.ignore = ignore
        self.split = split

    @property
    def name(self) -> str:
        """Name of the file without its ending."""
        return Path(self.path).stem

    def check(self) -> None:
        """See the base class."""
        path = existing_file(self.path, "Table")
        if path.suffix.lower() not in _FORMATS:
            raise DataError(
                f"the ending {path.suffix!r} is not known", where=str(path), fix=f"use {', '.join(_FORMATS)}"
            )

    def load(self, targets: Targets) -> Samples:
        """See the base class."""
        self.check()
        path = existing_file(self.path, "Table")
        if path.suffix.lower() == ".npz":
            return _arrays(path, targets)
        columns = read_columns(path)
        wanted = self._targets(columns, path)
        for name in [*(self.ignore or ()), *([] if self.split is None else [self.split])]:
            column(columns, name, path)
        left_out = {*wanted, *(self.ignore or ()), self.split}
        features = [name for name in columns if name not in left_out]
        if not features:
            raise DataError("there are no columns beside the targets", where=str(path))
        features_ = {name: encoded(name, columns[name], path) for name in features}
        x = np.concatenate([values for values, _ in features_.values()], axis=1)
        y, names = _target(columns, wanted, targets, path)
        split = np.array(["" if self.split is None else str(item).strip() for item in _first(columns, self.split)])
        strange = sorted(set(split.tolist()) - {"", "train", "val", "test"})
        if strange:
            raise DataError(
                f"column {self.split!r} holds {strange[0]!r}", where=str(path), fix="write train, val or test"
            )
        about = {"kind": "table", "columns": {name: options for name, (_, options) in features_.items()}}
        return Samples(x, y, targets, names, split, str(path), about)

    def _targets(self, columns: Columns, path: Path) -> list[str]:
        if self.target is None:
            return [name for name in columns if name != self.split and name not in (self.ignore or ())][-1:]
        wanted = [self.target] if isinstance(self.target, str) else list(self.target)
        for name in wanted:
            column(columns, name, path)
        return wanted


def _first(columns: Columns, name: str | None) -> Sequence[Any]:
    return columns[name] if name is not None else next(iter(columns.values()))


def _target(
    columns: Columns, wanted: Sequence[str], targets: Targets, path: Path
) -> tuple[NDArray[Any], tuple[str, ...]]:
    for name in wanted:
        refuse_missing(name, columns[name], path)
    if targets == "classes":
        if len(wanted) > 1:
            raise DataError(
                f"{plural(len(wanted), 'target column')} cannot be one class",
                where=str(path),
                fix="name one column, or take targets: labels or values",
            )
        texts = [str(value) for value in columns[wanted[0]]]
        whole = numbers(texts)
        if whole is not None and len(set(texts)) > max(MOST, len(texts) // 2):
            raise DataError(
                f"column {wanted[0]!r} holds {len(set(texts))} different numbers, which are not classes",
                where=str(path),
                fix="take targets: values, or the task `regression`",
            )
        names = sorted(set(texts), key=lambda text: (float(text), text) if whole is not None else (0.0, text))
        index = {name: position for position, name in enumerate(names)}
        return np.array([index[text] for text in texts], np.int64), tuple(names)
    found = [numbers(columns[name]) for name in wanted]
    for name, values in zip(wanted, found, strict=True):
        if values is None:
            raise DataError(f"column {name!r} holds texts, and {targets} are numbers", where=str(path))
    return np.stack([values for values in found if values is not None], axis=1), tuple(wanted)


def _arrays(path: Path, targets: Targets) -> Samples:
    with arrays_in(path) as file:
        arrays = {name: np.asarray(file[name]) for name in file.files}
    x, y, split = [], [], []
    scales = {name: scale_of(array) for name, array in arrays.items() if name.startswith("x_")}
    if len(set(scales.values())) > 1:
        raise DataError(
            "some inputs are 8-bit levels, and others numbers",
            where=str(path),
            why=", ".join(f"{name} is {arrays[name].dtype}" for name in scales),
            fix="save all of them as one kind",
        )
    scale = max(scales.values(), default=1.0)
    for name in ("train", "val", "test"):
        if f"x_{name}" not in arrays and name != "train":
            continue
        for key in (f"x_{name}", f"y_{name}"):
            if key not in arrays:
                raise DataError(f"there is no array {key!r}", where=str(path), fix=did_you_mean(key, list(arrays)))
        x.append(inputs(arrays[f"x_{name}"], path) / np.float32(scale))
        y.append(arrays[f"y_{name}"].reshape(len(arrays[f"y_{name}"]), -1))
        split += [("" if name == "train" else name)] * len(x[-1])
    targets_ = np.concatenate(y)
    names = tuple(map(str, arrays["names"])) if "names" in arrays else tuple(map(str, range(targets_.shape[1])))
    answers: NDArray[Any] = targets_.astype(np.float32)
    if targets == "classes":
        if targets_.shape[1] != 1 or targets_.dtype.kind not in "iu" or targets_.min() < 0:
            raise DataError("the classes are not one integer from 0 for each sample", where=str(path))
        answers = targets_[:, 0].astype(np.int64)
        names = names if "names" in arrays else tuple(map(str, range(int(answers.max()) + 1)))
    return Samples(
        np.concatenate(x), answers, targets, names, np.array(split), str(path), {"kind": "array", "scale": scale}
    )
