"""A trial of several fits: each stage has a seed, a folder and a result that outlives an interruption."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from nasplug.contract.errors import PluginError
from nasplug.contract.jsondata import parse_json
from nasplug.contract.records import Measurement, Trial
from nasplug.evaluate.answers import check_measurement, numbers
from nasplug.ledger.rng import derived_seed

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


class _Kept(msgspec.Struct, frozen=True):
    """What a file holds of a finished stage."""

    identity: str
    metrics: dict[str, float]
    measurements: list[Measurement]


class Stage:
    """One fit of a trial.

    Args:
        name: Name of the stage: letters, digits, `_`, `.` and `-`.
        folder: Folder of the trial.
        trial: The trial.

    Attributes:
        finished: Whether it has a result, perhaps of an earlier try.
        metrics: The result.
        measurements: Measurements reported in it.
        pruned: Reason why a pruner wants the training to stop, or None.
    """

    def __init__(self, name: str, folder: Path, trial: Trial) -> None:
        if not _NAME.fullmatch(name):
            raise PluginError(f"{name!r} cannot name a stage", fix="use letters, digits, `_`, `.` and `-`")
        self.name, self._folder, self._trial = name, folder, trial
        self.finished = False
        self.metrics: Mapping[str, float] = {}
        self.measurements: list[Measurement] = []
        self.pruned: str | None = None
        self._report: Callable[[Measurement], str | None] | None = None

    @property
    def seed(self) -> int:
        """Seed of the stage, derived from the trial's."""
        return derived_seed(self._trial.seed, f"stage:{self.name}", 0)

    @property
    def folder(self) -> Path:
        """Folder of the stage's files; made on first use."""
        path = self._folder / f"stage-{self.name}"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def follow(self, report: Callable[[Measurement], str | None]) -> None:
        """Sends measurements on to the trial."""
        self._report = report

    def report(self, step: int, metrics: Mapping[str, float]) -> str | None:
        """Shows a step to whoever watches, and asks the pruners.

        Args:
            step: Completed epochs of this stage.
            metrics: Metric by name.

        Returns:
            The reason to stop, or None.
        """
        where = f"trial {self._trial.number}, stage {self.name!r}"
        measurement = check_measurement(Measurement(step, metrics, self.name), where)
        self.measurements.append(measurement)
        reason = None if self._report is None else self._report(measurement)
        self.pruned = reason or self.pruned
        return reason

    def finish(self, metrics: Mapping[str, float]) -> None:
        """Takes down the result, so that this stage need not run again.

        Args:
            metrics: Metric by name.
        """
        self.metrics = numbers(metrics, "the metrics of a stage", f"trial {self._trial.number}, stage {self.name!r}")
        self.finished = True
        kept = {
            "identity": _identity(self._trial),
            "metrics": self.metrics,
            "measurements": [[m.step, dict(m.metrics), m.stage] for m in self.measurements],
        }
        path = _file(self._folder, self.name)
        temporary = path.with_suffix(".part")
        temporary.write_text(json.dumps(kept))
        temporary.replace(path)


def read_stage(folder: Path, name: str, trial: Trial) -> Stage | None:
    """Returns a stage that an earlier try of the same trial finished, or None."""
    try:
        text = _file(folder, name).read_text()
        kept = msgspec.convert(parse_json(text), _Kept)  # NaN and infinity are legal results here
    except (OSError, ValueError):
        return None
    if kept.identity != _identity(trial):
        return None
    stage = Stage(name, folder, trial)
    stage.metrics, stage.measurements, stage.finished = kept.metrics, kept.measurements, True
    return stage


def _identity(trial: Trial) -> str:
    text = json.dumps([trial.number, trial.seed, trial.proposal.to_json()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _file(folder: Path, name: str) -> Path:
    return folder / f"stage-{name}.json"
