"""Faults that the suite for executors finds, and the executors of the core, which have none of them."""

from __future__ import annotations

import threading

import pytest

from nasplug.contract.errors import PluginError
from nasplug.contract.records import Failure
from nasplug.run.executors.inline import InlineExecutor
from nasplug.run.executors.process import ProcessExecutor
from nasplug.testing import ExecutorConformance
from tests.testing.faults import WRONG


class TestInline(ExecutorConformance):
    workers = 1

    def make_executor(self):
        return InlineExecutor()


class TestShuffled(ExecutorConformance):
    def make_executor(self):
        return InlineExecutor(shuffle=3)


class TestProcess(ExecutorConformance):
    def make_executor(self):
        return ProcessExecutor()


class Losing(InlineExecutor):
    """Forgets every third job."""

    count = 0

    def submit(self, job):
        self.count += 1
        if self.count % 3:
            super().submit(job)


class Repeating(InlineExecutor):
    """Answers twice."""

    def finished(self):
        return super().finished() * 2


class Mute(InlineExecutor):
    def start(self, launch):
        super().start(launch)
        self._emit = None


class Chatty(InlineExecutor):
    """Passes on what jobs say in a thread of its own."""

    def start(self, launch):
        super().start(launch)

        def emit(key, message):
            thread = threading.Thread(target=launch.emit, args=(key, message))
            thread.start()
            thread.join()

        self._emit = emit


class Ignorant(InlineExecutor):
    """Leaves out what a job may know."""

    def submit(self, job):
        super().submit(type(job)(job.trial, job.work))


class Reseeding(InlineExecutor):
    """Its workers have seeds of their own."""

    def submit(self, job):
        trial = job.trial and job.trial.with_(seed=job.trial.seed + 1)
        super().submit(type(job)(trial, job.work, job.history, job.parent))


class Elsewhere(InlineExecutor):
    """Writes files where the driver does not look."""

    def start(self, launch):
        super().start(launch)
        self._worker.folder = launch.folder / "worker"


class Swallowing(InlineExecutor):
    """Takes every error for a failure of the candidate."""

    def finished(self):
        job = self._jobs[0]
        try:
            return super().finished()
        except PluginError as error:
            return [job.trial.with_(state="failed", failure=Failure("error", str(error)))]


class Delicate(InlineExecutor):
    """Cannot be closed before it was started."""

    def close(self, *, kill=False):
        self._worker.folder.stat()


class Unfinished:
    separate = False

    def start(self, launch): ...
    def submit(self, job): ...
    def close(self, *, kill=False): ...


class Claims(InlineExecutor):
    """Says that it has processes, and lets jobs take its own one along."""

    separate = True

    def finished(self):
        job = self._jobs.popleft()
        return [job.trial.with_(state="failed", failure=Failure("error", "gone"))] if job.trial else []


@pytest.mark.parametrize(
    ("executor", "test", "arguments"),
    [
        (Unfinished, "test_it_has_what_an_executor_has", ()),
        (Losing, "test_every_job_is_answered_once", ()),
        (Repeating, "test_every_job_is_answered_once", ()),
        (Ignorant, "test_results_are_those_of_this_process", ()),
        (Reseeding, "test_results_are_those_of_this_process", ()),
        (Elsewhere, "test_results_are_those_of_this_process", ()),
        (Reseeding, "test_a_search_has_the_same_trials", None),
        (Mute, "test_running_jobs_are_heard_in_the_thread_of_the_driver", ()),
        (Chatty, "test_running_jobs_are_heard_in_the_thread_of_the_driver", ()),
        (Swallowing, "test_what_is_no_candidates_fault_is_raised", ()),
        (Delicate, "test_it_can_be_closed_at_any_time", ()),
        (Claims, "test_a_worker_that_dies_costs_its_own_job", ("exit 0",)),
    ],
)
def test_executors(executor, test, arguments, tmp_path):
    suite = type("Suite", (ExecutorConformance,), {"make_executor": lambda self: executor(), "patience": 5.0})()
    given = () if arguments is None or test == "test_it_has_what_an_executor_has" else (*arguments, tmp_path)
    with pytest.raises((*WRONG, ValueError)):
        getattr(suite, test)(*given)
