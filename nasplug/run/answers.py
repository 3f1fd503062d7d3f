"""The executor as the driver sees it: every job is answered once, by its own result, whatever the executor returns."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar

from nasplug.contract.errors import NasplugError, PluginError
from nasplug.contract.protocols import Executor
from nasplug.contract.records import FINISHED, Changes, Measurement, Trial
from nasplug.ledger.work import Outcome
from nasplug.plugins.manager import Manager
from nasplug.run.executors.launch import Launch
from nasplug.run.jobs import Done, Job, Message

_log = logging.getLogger("nasplug")
P = ParamSpec("P")
T = TypeVar("T")


class Answers:
    """Stands between the driver and its executor.

    An executor may deliver a result late, out of order or more than once, as queues between machines do: the first one
    counts. Anything else that is not the result of a job that was submitted is a fault of the executor: it ends the run
    before it reaches the study.

    Args:
        executor: The executor.
        name: Name of the executor, for messages.
        manager: Manager of the run, which names plugins that raise.
    """

    def __init__(self, executor: Executor, name: str, manager: Manager) -> None:
        self._executor, self._where, self._manager = executor, f"executor {name!r}", manager
        self._open: dict[int | str, Job] = {}
        self._answered: set[int | str] = set()
        self._passing: BaseException | None = None

    @property
    def separate(self) -> bool:
        """Whether jobs run in processes of their own."""
        return self._executor.separate

    def start(self, launch: Launch, emit: Callable[[int | str, Message], None]) -> None:
        """Starts the executor; see its protocol.

        Args:
            launch: The run, whose `emit` is this object's `heard`.
            emit: Function that hears running jobs; what it raises is passed on as it is.
        """
        self._emit = emit
        self._call("start", self._executor.start, launch)

    def heard(self, key: int | str, message: Message) -> None:
        """Passes on what a running job says."""
        try:
            self._emit(key, message)
        except BaseException as error:
            self._passing = error
            raise

    def submit(self, job: Job) -> None:
        """Hands a job to the executor."""
        self._open[job.key] = job
        self._answered.discard(job.key)
        self._call("submit", self._executor.submit, job)

    def finished(self) -> list[Done]:
        """Waits for results, and returns those that are news.

        Raises:
            PluginError: The executor raised, or returned something else than results of submitted jobs.
        """
        found = self._call("finished", self._executor.finished)
        if not isinstance(found, list) or not all(isinstance(done, (Trial, Outcome)) for done in found):
            raise self._wrong("finished returns a list of trials and outcomes", f"got {found!r:.200}")
        return [self._accepted(done, job) for done in found if (job := self._asked(done)) is not None]

    def close(self, *, kill: bool = False) -> None:
        """Closes the executor."""
        self._call("close", self._executor.close, kill=kill)

    def _asked(self, done: Done) -> Job | None:
        """The job that this is the first answer to."""
        key = done.number if isinstance(done, Trial) else done.key
        job = self._open.pop(key, None)
        if job is None:
            if key not in self._answered:
                raise self._wrong(f"answered {_named(key)}, which was not submitted", None)
            _log.info("%s answered %s again; the first answer counts", self._where, _named(key))
            return None
        self._answered.add(key)
        return job

    def _accepted(self, done: Done, job: Job) -> Done:
        if isinstance(done, Trial) and job.trial is not None:
            if not done.finished:
                raise self._wrong(f"answered {_named(job.key)} before it was finished", f"its state is {done.state!r}")
            asked, got = job.rehearsal or (job.trial,), (done.architecture.key, done.seed)
            if got not in [(trial.architecture.key, trial.seed) for trial in asked]:
                raise self._wrong(
                    f"answered {_named(job.key)} with another trial",
                    f"{job.trial.architecture.key!r:.80} with seed {job.trial.seed} was asked, "
                    f"{got[0]!r:.80} with seed {got[1]} came",
                )
            return shared(done, job.trial)
        return done

    def _call(self, method: str, function: Callable[P, T], *arguments: P.args, **more: P.kwargs) -> T:
        try:
            return function(*arguments, **more)
        except (NasplugError, KeyboardInterrupt):
            raise
        except BaseException as error:
            if error is self._passing:
                raise
            self._manager.guard(self._where, method, _again, error)
            raise

    def _wrong(self, what: str, why: str | None) -> PluginError:
        return PluginError(what, where=self._where, why=why, fix="this is a fault of the executor; nothing was stored")


def shared(answer: Trial, asked: Trial) -> Trial:
    """Returns an answer that shares with the question what is equal in both, and with others the names of its metrics.

    What comes from another process is a copy of everything; a study of many trials would keep two of each proposal.

    Args:
        answer: Finished trial.
        asked: Trial as it was submitted.
    """
    if answer.proposal is asked.proposal:
        return answer  # of this very process
    changes: Changes = {"state": next(state for state in FINISHED if state == answer.state)}
    if answer.metrics:
        changes["metrics"] = _interned(answer.metrics)
    if answer.costs:
        changes["costs"] = _interned(answer.costs)
    if answer.proposal == asked.proposal:
        changes["proposal"] = asked.proposal
    if answer.measurements:
        changes["measurements"] = tuple(
            Measurement(one.step, _interned(one.metrics), one.stage) for one in answer.measurements
        )
    return answer.with_(**changes)


def _interned(numbers: Mapping[str, float]) -> dict[str, float]:
    return {sys.intern(name): value for name, value in numbers.items()}


def _again(error: BaseException) -> None:
    raise error


def _named(key: int | str) -> str:
    return f"trial {key}" if isinstance(key, int) else f"work {key!r}"
