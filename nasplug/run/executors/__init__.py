"""Where trials run: in this process, or in worker processes that may die without taking the study along."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from nasplug.contract.records import Trial
from nasplug.run.assemble import Assembly
from nasplug.run.executors.inline import InlineExecutor as InlineExecutor
from nasplug.run.executors.process import ProcessExecutor as ProcessExecutor
from nasplug.run.worker import Emit, Job


class Executor(Protocol):
    """Runs jobs; knows nothing of strategies and storage."""

    def submit(self, job: Job) -> None:
        """Takes a job; it starts when a worker is free, in order of submission."""

    def finished(self) -> list[Trial]:
        """Waits until at least one job is finished and returns those that are, in any order."""

    def close(self, *, kill: bool = False) -> None:
        """Ends all workers; with `kill`, at once."""


def _make_inline(assembly: Assembly, folder: Path | None, emit: Emit, objects: Mapping[str, Any]) -> Executor:
    return InlineExecutor(assembly, folder, emit)


def _make_process(assembly: Assembly, folder: Path | None, emit: Emit, objects: Mapping[str, Any]) -> Executor:
    assert folder is not None
    return ProcessExecutor(assembly, folder, emit, objects)


#: Executors by the name that `run.executor` uses.
EXECUTORS: dict[str, Callable[[Assembly, Path | None, Emit, Mapping[str, Any]], Executor]] = {
    "inline": _make_inline,
    "process": _make_process,
}
