"""What a worker answers, whatever goes wrong: in setting it up, in a job, and on the way back."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import TYPE_CHECKING

from nasplug.contract.errors import NasplugError, PluginError
from nasplug.plugins.watchdog import OverdueError
from nasplug.run.jobs import Done, Job
from nasplug.run.worker import Emit

if TYPE_CHECKING:
    from nasplug.run.executors.gang import Runner


class Service:
    """A worker whose every job has an answer that can be sent.

    Args:
        make: Function that sets the worker up; what it raises is the answer to every job.

    Attributes:
        error: Error that the worker could not be set up with, or None.
    """

    def __init__(self, make: Callable[[], Runner]) -> None:
        self._worker: Runner | None = None
        self.error: NasplugError | None = None
        try:
            self._worker = make()
        except NasplugError as problem:
            self.error = PluginError("a worker process cannot be set up", why=str(problem))
        except BaseException as problem:
            text = f"{type(problem).__name__}: {problem}"
            self.error = PluginError("a worker process cannot be set up", why=text)

    def answer(self, job: Job, emit: Emit) -> Done | NasplugError:
        """Returns the result of a job, or the error that ends the run.

        Args:
            job: A trial or work.
            emit: Callback for what the running job says.
        """
        if self._worker is None:
            assert self.error is not None
            return self.error
        result: Done | NasplugError
        try:
            result = self._worker.run(job, emit)
        except NasplugError as problem:
            result = problem
        except OverdueError as late:  # came between a hook and its return
            result = late.error
        try:
            pickle.dumps(result)
        except Exception as problem:
            return PluginError(
                "the result of a trial cannot leave its process",
                where=f"trial or work {job.key}",
                why=f"{type(problem).__name__}: {problem}",
                fix="answer numbers, strings and lists of them",
            )
        return result
