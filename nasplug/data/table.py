"""Tables of numbers and categories with target columns: CSV, Parquet, and arrays in an .npz file."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import DataError, did_you_mean
from nasplug.contract.wording import plural
from nasplug.data.archives import arrays_in
from nasplug.data.samples import Samples, SampleSource, Targets
from nasplug.data.source import existing_file
from nasplug.optional import require

#: Text columns with more values than these are not categories.
_MOST = 64
_FORMATS = (".csv", ".tsv", ".parquet", ".npz")

Columns = Mapping[str, Sequence[Any]]


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
        columns = _parquet(path) if path.suffix.lower() == ".parquet" else _csv(path)
        wanted = self._targets(columns, path)
        for name in [*(self.ignore or ()), *([] if self.split is None else [self.split])]:
            _column(columns, name, path)
        left_out = {*wanted, *(self.ignore or ()), self.split}
        features = [name for name in columns if name not in left_out]
        if not features:
            raise DataError("there are no columns beside the targets", where=str(path))
        encoded = {name: _encoded(name, columns[name], path) for name in features}
        x = np.concatenate([values for values, _ in encoded.values()], axis=1)
        y, names = _target(columns, wanted, targets, path)
        split = np.array(["" if self.split is None else str(item).strip() for item in _first(columns, self.split)])
        strange = sorted(set(split.tolist()) - {"", "train", "val", "test"})
        if strange:
            raise DataError(
                f"column {self.split!r} holds {strange[0]!r}", where=str(path), fix="write train, val or test"
            )
        about = {"kind": "table", "columns": {name: options for name, (_, options) in encoded.items()}}
        return Samples(x, y, targets, names, split, str(path), about)

    def _targets(self, columns: Columns, path: Path) -> list[str]:
        if self.target is None:
            return [name for name in columns if name != self.split and name not in (self.ignore or ())][-1:]
        wanted = [self.target] if isinstance(self.target, str) else list(self.target)
        for name in wanted:
            _column(columns, name, path)
        return wanted


def _column(columns: Columns, name: str, path: Path) -> Sequence[Any]:
    if name not in columns:
        raise DataError(f"there is no column {name!r}", where=str(path), fix=did_you_mean(name, list(columns)))
    return columns[name]


def _first(columns: Columns, name: str | None) -> Sequence[Any]:
    return columns[name] if name is not None else next(iter(columns.values()))


def _csv(path: Path) -> dict[str, list[Any]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ","))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError("cannot read the table", where=str(path), why=str(error)) from error
    if len(rows) < 2:
        raise DataError("the table has no rows below its header", where=str(path))
    header = [name.strip() for name in rows[0]]
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise DataError(f"two columns are called {twice[0]!r}", where=str(path), fix="give every column its name")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise DataError(f"line {number} has {plural(len(row), 'field')}, the header {len(header)}", where=str(path))
    return {name: [row[position].strip() for row in rows[1:]] for position, name in enumerate(header)}


def _parquet(path: Path) -> dict[str, list[Any]]:
    parquet = require("pyarrow.parquet", extra="table", purpose="read Parquet files")
    try:
        table = parquet.read_table(str(path))
    except Exception as error:  # of classes that pyarrow keeps to itself
        raise DataError("cannot read the table", where=str(path), why=str(error)) from error
    if not table.num_rows:
        raise DataError("the table has no rows", where=str(path))
    return {name: table.column(name).to_pylist() for name in table.column_names}


def _encoded(name: str, values: Sequence[Any], path: Path) -> tuple[NDArray[np.float32], list[str] | None]:
    """Numbers (N, 1) of a column, or a column of 0 and 1 for each of its values, with those values."""
    _refuse_missing(name, values, path)
    numbers = _numbers(values)
    if numbers is not None:
        return numbers[:, None], None
    texts = [str(value) for value in values]
    options = sorted(set(texts))
    if len(options) > _MOST:
        raise DataError(
            f"column {name!r} holds {len(options)} different texts, such as {options[0]!r}",
            where=str(path),
            why=f"more than {_MOST} are not categories",
            fix=f"name it in `ignore`, or replace it by numbers: ignore: [{name}]",
        )
    return (np.array(texts)[:, None] == np.array(options)[None]).astype(np.float32), options


def _numbers(values: Sequence[Any]) -> NDArray[np.float32] | None:
    try:
        with np.errstate(over="ignore"):
            return np.array([float(value) for value in values]).astype(np.float32)
    except (TypeError, ValueError):
        return None


def _refuse_missing(name: str, values: Sequence[Any], path: Path) -> None:
    for position, value in enumerate(values):
        if value is None or (isinstance(value, str) and value in ("", "?", "NA", "NaN", "nan", "null")):
            raise DataError(
                f"column {name!r} has no value in row {position + 1}",
                where=str(path),
                why="what a missing value means is not known",
                fix="fill it in, leave the row out, or name the column in `ignore`",
            )


def _target(
    columns: Columns, wanted: Sequence[str], targets: Targets, path: Path
) -> tuple[NDArray[Any], tuple[str, ...]]:
    for name in wanted:
        _refuse_missing(name, columns[name], path)
    if targets == "classes":
        if len(wanted) > 1:
            raise DataError(
                f"{plural(len(wanted), 'target column')} cannot be one class",
                where=str(path),
                fix="name one column, or take targets: labels or values",
            )
        texts = [str(value) for value in columns[wanted[0]]]
        whole = _numbers(texts)
        if whole is not None and len(set(texts)) > max(_MOST, len(texts) // 2):
            raise DataError(
                f"column {wanted[0]!r} holds {len(set(texts))} different numbers, which are not classes",
                where=str(path),
                fix="take targets: values, or the task `regression`",
            )
        names = sorted(set(texts), key=lambda text: (float(text), text) if whole is not None else (0.0, text))
        index = {name: position for position, name in enumerate(names)}
        return np.array([index[text] for text in texts], np.int64), tuple(names)
    found = [_numbers(columns[name]) for name in wanted]
    for name, values in zip(wanted, found, strict=True):
        if values is None:
            raise DataError(f"column {name!r} holds texts, and {targets} are numbers", where=str(path))
    return np.stack([values for values in found if values is not None], axis=1), tuple(wanted)


def _arrays(path: Path, targets: Targets) -> Samples:
    with arrays_in(path) as file:
        arrays = {name: np.asarray(file[name]) for name in file.files}
    x, y, split = [], [], []
    for name in ("train", "val", "test"):
        if f"x_{name}" not in arrays and name != "train":
            continue
        for key in (f"x_{name}", f"y_{name}"):
            if key not in arrays:
                raise DataError(f"there is no array {key!r}", where=str(path), fix=did_you_mean(key, list(arrays)))
        x.append(_inputs(arrays[f"x_{name}"], path))
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
    return Samples(np.concatenate(x), answers, targets, names, np.array(split), str(path))


def _inputs(x: NDArray[Any], path: Path) -> NDArray[np.float32]:
    """Rows (N, F), or images with the channels first."""
    if x.ndim not in (2, 3, 4) or x.dtype.kind not in "fiub":
        raise DataError(
            f"the inputs are {x.dtype} of shape {x.shape}",
            where=str(path),
            why="they must be numbers (N, F), (N, H, W) or (N, H, W, C)",
        )
    scale = np.float32(255.0) if x.dtype == np.uint8 and x.ndim > 2 else np.float32(1.0)
    with np.errstate(over="ignore"):
        values = x.astype(np.float32) / scale
    if x.ndim == 3:
        values = values[:, None]
    return np.moveaxis(values, 3, 1) if x.ndim == 4 else values
