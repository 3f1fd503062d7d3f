"""Results of `nasplug retrain` that lie beside a study: the test of a network, and what it confuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from nasplug.contract.jsondata import Json
from nasplug.ledger.artifacts import beside
from nasplug.report.formats import duration, number, shorten, text
from nasplug.report.labels import heading

if TYPE_CHECKING:
    from nasplug.ledger.study import Study

#: Most retrainings, and most classes of a confusion matrix, on a page.
MOST, MOST_CLASSES = 12, 40
_LARGEST = 64 << 20  # bytes of a file that is read


class Stored(msgspec.Struct, frozen=True):
    """The part of `retrain.json` that a page shows; see `nasplug.cli.retrain.Result`."""

    trial: int
    architecture: Mapping[str, Json]
    seconds: float = 0.0
    epochs: int | None = None
    validation: Mapping[str, float | str | None] = {}
    test: Mapping[str, float | str | None] | None = None
    untested: str | None = None
    baseline: Mapping[str, float | str | None] = {}
    confusion: list[list[int]] | None = None


class Described(msgspec.Struct, frozen=True):
    """The part of a bundle's description that a page shows; see `nasplug.export.description`."""

    classes: list[str] | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a confusion matrix.

    Attributes:
        count: Number of samples.
        share: Part of the samples of its true class, 0 to 1.
        right: Whether the answer is the true class.
    """

    count: int
    share: float
    right: bool


@dataclass(frozen=True, slots=True)
class Retraining:
    """A retraining as the page shows it.

    Attributes:
        title: Name of the network and number of its trial.
        folder: Name of the folder with the weights.
        facts: Names and values: epochs, time, metrics of validation.
        test: Names and values of the test; empty if there was none.
        untested: Reason why there was no test.
        baseline: Names and values of other methods on the same test data.
        classes: Names of the classes; empty without a matrix.
        matrix: Rows of the confusion matrix, by true class; empty if there is none.
    """

    title: str
    folder: str
    facts: list[tuple[str, str]]
    test: list[tuple[str, str]]
    untested: str
    baseline: list[tuple[str, str]]
    classes: list[str]
    matrix: list[list[Cell]]


def retrainings(study: Study) -> list[Retraining]:
    """Returns the retrainings beside the file of a study, by trial; files that are not readable are left out.

    Args:
        study: Study, from memory or from a file; a study in memory has none.
    """
    folder = study.setting.folder
    if folder is None or not folder.parent.name.endswith(".files"):
        return []
    file = folder.parent.with_name(folder.parent.name.removesuffix(".files"))
    start = beside(file, "-retrain-").name
    found: dict[Path, Stored] = {}
    try:
        for each in sorted(file.parent.iterdir()):
            path = each / "retrain.json"
            if each.name.startswith(start) and path.is_file() and path.stat().st_size < _LARGEST:
                try:
                    found[each] = msgspec.json.decode(path.read_bytes(), type=Stored)
                except (msgspec.MsgspecError, OSError, ValueError, RecursionError):
                    continue
    except OSError:
        return []
    shown = [_shown(study, path, stored) for path, stored in found.items()]
    return [each for each in shown if each is not None][:MOST]


def _shown(study: Study, folder: Path, stored: Stored) -> Retraining | None:
    trial = next((trial for trial in study.trials if trial.number == stored.trial), None)
    if trial is None or trial.architecture.key != stored.architecture.get("key"):
        return None  # of a study that was here before
    facts = [("epochs", str(stored.epochs))] if stored.epochs is not None else []
    facts.append(("time", duration(stored.seconds)))
    classes, matrix = _matrix(stored, _classes(folder))
    return Retraining(
        heading(study, trial),
        text(folder.name),
        [*facts, *_values(stored.validation)],
        _values(stored.test or {}),
        text(stored.untested or ""),
        _values(stored.baseline),
        classes,
        matrix,
    )


def _values(given: Mapping[str, float | str | None]) -> list[tuple[str, str]]:
    return [(text(name), number(value)) for name, value in given.items() if value is not None][:30]


def _classes(folder: Path) -> list[str] | None:
    """Names of the classes, from the network that lies beside the result."""
    file = folder / "architecture.json"
    try:
        if file.stat().st_size >= _LARGEST:
            return None
        return msgspec.json.decode(file.read_bytes(), type=Described).classes
    except (msgspec.MsgspecError, OSError, ValueError, RecursionError):
        return None


def _matrix(stored: Stored, names: list[str] | None) -> tuple[list[str], list[list[Cell]]]:
    rows = stored.confusion
    if not rows or len(rows) > MOST_CLASSES or any(len(row) != len(rows) for row in rows):
        return [], []
    if any(count < 0 for row in rows for count in row):
        return [], []
    known = names if names is not None and len(names) == len(rows) else list(map(str, range(len(rows))))
    classes = [shorten(name, 24) for name in known]
    cells = [
        [Cell(count, count / max(1, sum(row)), at == index) for at, count in enumerate(row)]
        for index, row in enumerate(rows)
    ]
    return classes, cells
