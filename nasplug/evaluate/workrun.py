"""A piece of a strategy's work on its way through a worker."""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.contract.errors import PluginError
from nasplug.contract.records import Failure
from nasplug.evaluate.wrapped import wrapped_data
from nasplug.ledger.artifacts import checksum
from nasplug.ledger.rng import derived_seed, stream
from nasplug.ledger.view import StudyView
from nasplug.ledger.work import Outcome, Work

if TYPE_CHECKING:
    import numpy as np
    from pytorch_lightning import LightningDataModule

    from nasplug.contract.protocols import HardwareTarget, SearchSpace, Task
    from nasplug.plugins.manager import Manager


class WorkRun:
    """What the function of a piece of work gets.

    Args:
        work: Work to do.
        study: The study; `trials` holds the first `work.trials` finished ones.
        device: Device: `cpu`, `cuda`, `cuda:1` or `auto`.
        threads: Threads of torch.
        manager: Plugins that wrap data; without, the task gives them alone.
        emit: Shows progress to whoever watches: a share between 0 and 1, and metrics.

    Attributes:
        failure: Failure noted by `fail`.
    """

    def __init__(
        self,
        work: Work,
        study: StudyView,
        *,
        device: str = "cpu",
        threads: int = 1,
        manager: Manager | None = None,
        emit: Callable[[float, Mapping[str, float]], None] | None = None,
    ) -> None:
        self.work, self.study, self.device, self.threads = work, study, device, threads
        self._manager, self._emit = manager, emit
        self.failure: Failure | None = None

    @property
    def space(self) -> SearchSpace:
        """The search space."""
        return self.study.space

    @property
    def task(self) -> Task | None:
        """The task, or None."""
        return self.study.task

    @property
    def target(self) -> HardwareTarget | None:
        """The hardware target, if any."""
        return self.study.target

    def data(self) -> LightningDataModule:
        """Returns a fresh `LightningDataModule`, as the task gives it and all wrappers change it.

        Raises:
            StudyError: The run has no task.
        """
        return wrapped_data(self, self._manager)

    @property
    def folder(self) -> Path:
        """Folder for files of this work; made on first use, and there again after an interruption."""
        path = self.study.work_folder(self.work.key)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def seed(self, role: str = "") -> int:
        """Returns a seed keyed by (seed of the study, the work, role)."""
        return derived_seed(self.study.seed, f"{self.work.key}:{role}", 0)

    def rng(self, role: str, index: int = 0) -> np.random.Generator:
        """Returns a random stream keyed by (seed of the study, the work, role, index)."""
        return stream(self.study.seed, f"{self.work.key}:{role}", index)

    def progress(self, share: float, metrics: Mapping[str, float] | None = None) -> None:
        """Shows how far the work is.

        Args:
            share: Done part, between 0 and 1.
            metrics: Metrics measured so far.
        """
        if self._emit is not None:
            self._emit(share, metrics or {})

    def fail(self, kind: str, message: str) -> None:
        """Notes that the work failed, where the function still has something to return.

        The outcome then has both, the result and the failure. A function with nothing to return raises instead.

        Args:
            kind: Kind of the failure, such as `nan`.
            message: Text of the reason.
        """
        self.failure = Failure(kind, message)


def carry_out(run: WorkRun) -> Outcome:
    """Calls the function of a piece of work.

    Raises:
        PluginError: It cannot be imported, or returns what is not JSON data.
    """
    started = time.perf_counter()
    work = run.work
    module, _, name = work.function.partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise PluginError("cannot find the function of the work", where=work.function, why=str(error)) from error
    result = function(run, **work.arguments)
    try:
        result = json.loads(json.dumps(result))
    except (TypeError, ValueError) as error:
        raise PluginError("work returns JSON data", where=work.function, why=str(error)) from error
    folder = run.study.work_folder(work.key)
    files = sorted(file for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else []
    sums = {file.relative_to(folder).as_posix(): checksum(file) for file in files}
    return Outcome(work.key, result, run.failure, sums, time.perf_counter() - started)
