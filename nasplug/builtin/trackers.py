"""Trackers that come with the core."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from nasplug.contract.errors import StorageError
from nasplug.contract.records import Measurement, Trial
from nasplug.contract.tracker import Plan, Tracker
from nasplug.ledger.view import StudyView


class JsonLines(Tracker):
    """Appends one line of JSON per event to a file: for `tail -f`, dashboards and notebooks.

    Every line has `event` and `time` (seconds since 1970): `started`, `submitted` (trial, architecture), `measured`
    (trial, step, metrics), `worked` (key, share), `observed` (the whole trial) and `ended`. A resumed run appends; the
    trials that it takes over are not written again.

    Args:
        path: Path of the file; made with its parents.

    Raises:
        StorageError: The file cannot be written.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._file: IO[str] | None = None
        self._resumed = 0

    def started(self, study: StudyView, plan: Plan) -> None:
        """Opens the file."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a", encoding="utf-8")
        except OSError as error:
            raise StorageError("cannot write the log", where=str(self._path), why=str(error)) from error
        self._resumed = plan.resumed
        objectives = {objective.name: objective.direction for objective in study.objectives}
        self._write("started", objectives=objectives, trials=plan.trials, resumed=plan.resumed)

    def submitted(self, trial: Trial) -> None:
        """Writes which architecture is about to run."""
        self._write("submitted", trial=trial.number, architecture=trial.architecture.key)

    def measured(self, number: int, measurement: Measurement) -> None:
        """Writes a step of a running trial."""
        more = {"stage": measurement.stage} if measurement.stage else {}
        self._write("measured", trial=number, step=measurement.step, metrics=dict(measurement.metrics), **more)

    def worked(self, key: str, share: float, metrics: Mapping[str, float]) -> None:
        """Writes how far a strategy's work is."""
        self._write("worked", key=key, share=share, metrics=metrics)

    def observed(self, trial: Trial) -> None:
        """Writes a finished trial."""
        if trial.number >= self._resumed:
            self._write("observed", trial=json.loads(trial.encode()))

    def ended(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._write("ended")
            self._file.close()
            self._file = None

    def _write(self, event: str, **facts: object) -> None:
        if self._file is None:
            return
        try:
            self._file.write(json.dumps({"event": event, "time": round(time.time(), 3), **facts}) + "\n")
            self._file.flush()
        except OSError as error:
            raise StorageError("cannot write the log", where=str(self._path), why=str(error)) from error
