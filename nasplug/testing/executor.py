"""What every executor must keep to."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from nasplug.contract.errors import PluginError
from nasplug.contract.kinds import METHODS
from nasplug.contract.records import Measurement, Trial
from nasplug.contract.wording import plural
from nasplug.ledger.work import Outcome, Work
from nasplug.plugins.catalog import Catalog
from nasplug.run.assemble import compose
from nasplug.run.executors.launch import Launch
from nasplug.run.jobs import Done, Job, Message, Progress
from nasplug.run.spec import RunSpec
from nasplug.testing.search import outcome, run_search
from nasplug.testing.synthetic import SyntheticSpace
from nasplug.testing.troubles import DEADLY, Troubled, example_work

if TYPE_CHECKING:
    from nasplug.contract.protocols import Executor


_WORK = f"{example_work.__module__}:{example_work.__name__}"


class ExecutorConformance:
    """Subclass it, give `make_executor`, and change what does not fit.

    Attributes:
        workers: Number of jobs at the same time.
        trials: Number of trials of a test.
        patience: Seconds after which a job counts as lost.
    """

    workers: ClassVar[int] = 2
    trials: ClassVar[int] = 8
    patience: ClassVar[float] = 120.0

    def make_executor(self) -> Executor:
        """Returns a fresh executor that was not started."""
        raise NotImplementedError("give make_executor()")

    # -- jobs ----------------------------------------------------------------------------------------------------

    def test_it_has_what_an_executor_has(self) -> None:
        """`start`, `submit`, `finished`, `close`, and `separate`."""
        executor = self.make_executor()
        for group in METHODS["executor"]:
            assert any(callable(getattr(executor, name, None)) for name in group), f"lacks {' or '.join(group)}"
        assert isinstance(executor.separate, bool), "`separate` says whether jobs run in processes of their own"

    def test_every_job_is_answered_once(self, tmp_path: Path) -> None:
        """Trials and work, in any order, each once and nothing else; two of a kind may be on their way together."""
        with self.started(tmp_path) as running:
            jobs = [*running.trials(self.trials), *(_work(value) for value in range(3))]
            for job in jobs:
                running.executor.submit(job)
            done = running.collect(len(jobs))
        assert Counter(_key(item) for item in done) == Counter(job.key for job in jobs)
        assert all(item.state == "complete" for item in done if isinstance(item, Trial))

    def test_results_are_those_of_this_process(self, tmp_path: Path) -> None:
        """A trial knows its seed, its number and its history wherever it runs; so does work."""
        found: list[list[Any]] = []
        for mine in (True, False):
            with self.started(tmp_path / str(mine), mine=mine) as running:
                jobs = running.trials(4)
                for job in jobs:
                    running.executor.submit(job)
                first = sorted(running.collect(len(jobs)), key=lambda item: int(_key(item)))
                history = tuple(item for item in first if isinstance(item, Trial))
                running.executor.submit(Job(None, Work(_WORK, {"value": 3}, len(history)), history))
                (work,) = running.collect(1)
                assert isinstance(work, Outcome)
                file = running.launch.folder / "jobs" / work.key / "value.txt"
                assert file.is_file(), "what jobs write must be below the folder of the launch"
                plain = [item.with_(seconds=0.0).to_json() for item in history]
                found.append([plain, work.result, dict(work.checksums)])
        assert found[0] == found[1]

    def test_a_search_has_the_same_trials(self) -> None:
        """Whatever is faster, a strategy proposes the same."""
        options: dict[str, Any] = {"trials": 3 * self.trials, "batch": 5, "evaluator": Troubled()}
        run = {"workers": self.workers, "executor": "given"}
        mine = run_search("regularized_evolution", executor=self.make_executor(), run=run, **options)
        assert outcome(mine) == outcome(run_search("regularized_evolution", **options))

    def test_running_jobs_are_heard_in_the_thread_of_the_driver(self, tmp_path: Path) -> None:
        """Measurements and progress reach `launch.emit` before the result of their job is returned."""
        with self.started(tmp_path) as running:
            (job,) = running.trials(1)
            running.executor.submit(job)
            running.executor.submit(_work(1))
            running.collect(2)
        steps = [message.step for key, message in running.said if key == 0 and isinstance(message, Measurement)]
        assert steps == list(range(3)), f"the trial reported the steps 0, 1, 2, and {steps} were heard"
        assert [message.share for _, message in running.said if isinstance(message, Progress)] == [0.5]
        assert running.threads == {threading.get_ident()}, "emit() is called in the thread that calls finished()"

    # -- trouble -------------------------------------------------------------------------------------------------

    def test_a_job_that_fails_fails_alone(self, tmp_path: Path) -> None:
        """What a candidate or work raises is its own failure; all others are done."""
        with self.started(tmp_path, trouble="raise", numbers=(1, 2)) as running:
            for job in [*running.trials(4), _work(1, "raise"), _work(2)]:
                running.executor.submit(job)
            done = {_key(item): item for item in running.collect(6)}
        states = [getattr(done[number], "state", None) for number in range(4)]
        assert states == ["complete", "failed", "failed", "complete"]
        failures = [item.failure for item in done.values() if isinstance(item, Outcome)]
        assert sum(failure is None for failure in failures) == 1
        assert any(failure is not None and "trouble by request" in failure.message for failure in failures)

    def test_what_is_no_candidates_fault_is_raised(self, tmp_path: Path) -> None:
        """A broken plugin would break every trial alike: `finished` raises it."""
        with self.started(tmp_path, trouble="broken", numbers=(0,)) as running:
            running.executor.submit(running.trials(1)[0])
            with pytest.raises(PluginError, match="broken by request"):
                running.collect(1)

    @pytest.mark.parametrize("trouble", [kind for kind in DEADLY if kind != "hang"])
    def test_a_worker_that_dies_costs_its_own_job(self, trouble: str, tmp_path: Path) -> None:
        """With whatever exit code: its trial failed with the kind `crash`, and the others are complete."""
        self.needs_processes()
        with self.started(tmp_path, trouble=trouble, numbers=(1,)) as running:
            for job in [*running.trials(4), _work(1, trouble)]:
                running.executor.submit(job)
            done = {_key(item): item for item in running.collect(5)}
        states = [getattr(done[number], "state", None) for number in range(4)]
        assert states == ["complete", "failed", "complete", "complete"]
        for item in (done[1], next(item for item in done.values() if isinstance(item, Outcome))):
            assert item.failure is not None
            assert item.failure.kind == "crash"

    def test_a_time_limit_is_kept(self, tmp_path: Path) -> None:
        """A trial, and work with a limit of its own, that take longer fail with the kind `timeout`."""
        self.needs_processes()
        with self.started(tmp_path, trouble="hang", numbers=(0,), time_limit=2.0) as running:
            for job in [*running.trials(2), _work(1, "hang", 1.0)]:
                running.executor.submit(job)
            done = {_key(item): item for item in running.collect(3)}
        assert getattr(done[1], "state", None) == "complete"
        for item in (done[0], next(item for item in done.values() if isinstance(item, Outcome))):
            assert item.failure is not None
            assert item.failure.kind == "timeout"

    # -- the end -------------------------------------------------------------------------------------------------

    def test_it_can_be_closed_at_any_time(self, tmp_path: Path) -> None:
        """Before it was started, with jobs that nobody waited for, and twice."""
        self.make_executor().close()
        with self.started(tmp_path) as running:
            for job in running.trials(3):
                running.executor.submit(job)
            running.collect(1)
            running.executor.close(kill=True)

    def test_killing_does_not_wait(self, tmp_path: Path) -> None:
        """`close(kill=True)` ends jobs in their middle."""
        self.needs_processes()
        with self.started(tmp_path, trouble="hang", numbers=(1,)) as running:
            for job in running.trials(2):
                running.executor.submit(job)
            running.collect(1)
            started = time.monotonic()
            running.executor.close(kill=True)
            assert time.monotonic() - started < 30

    # -- tools ---------------------------------------------------------------------------------------------------

    def needs_processes(self) -> None:
        """Skips a test that only an executor with processes can pass."""
        if not self.make_executor().separate:
            pytest.skip("jobs run in the process of the driver, and end with it")

    @contextmanager
    def started(
        self,
        folder: Path,
        *,
        trouble: str = "",
        numbers: tuple[int, ...] = (),
        time_limit: float | None = None,
        mine: bool = True,
    ) -> Iterator[_Running]:
        """Starts an executor for a run of the synthetic problem, and closes it in the end."""
        from nasplug.run.executors.inline import InlineExecutor

        executor = self.make_executor() if mine else InlineExecutor()
        running = _Running(executor, folder, self.workers, self.patience, (trouble, numbers), time_limit)
        try:
            executor.start(running.launch)
            yield running
        finally:
            executor.close(kill=True)


class _Running:
    """An executor at work."""

    def __init__(
        self,
        executor: Any,
        folder: Path,
        workers: int,
        patience: float,
        trouble: tuple[str, tuple[int, ...]],
        time_limit: float | None,
    ) -> None:
        kind, numbers = trouble
        spec = RunSpec.parse(
            {
                "space": {"class_path": "nasplug.testing.synthetic.SyntheticSpace"},
                "evaluator": {
                    "class_path": "nasplug.testing.troubles.Troubled",
                    "init_args": {"trouble": kind, "numbers": list(numbers)},
                },
                "strategy": {"class_path": "nasplug.builtin.random.RandomSearch"},
                "budget": {"trials": 100, "epochs": 3},
                "run": {"workers": workers, "executor": "given", "time_limit": time_limit},
            }
        )
        folder.mkdir(parents=True, exist_ok=True)
        assembly = compose(spec, Catalog())
        self.executor, self.patience = executor, patience
        self.said: list[tuple[int | str, Message]] = []
        self.threads: set[int] = set()
        self.launch = Launch(assembly, folder, self._emit)

    def trials(self, count: int) -> list[Job]:
        """Returns jobs of the first trials of a study."""
        ledger, space = self.launch.assembly.ledger(folder=self.launch.folder), SyntheticSpace()
        proposals = [ledger.view.proposal(space.sample(ledger.view.rng("suite", i))) for i in range(count)]
        return [Job(ledger.propose(proposal)) for proposal in proposals]

    def collect(self, count: int) -> list[Done]:
        """Waits for results."""
        done: list[Done] = []
        deadline = time.monotonic() + self.patience
        while len(done) < count:
            assert time.monotonic() < deadline, f"{count - len(done)} of {plural(count, 'job')} never came back"
            done += self.executor.finished()
        return done

    def _emit(self, key: int | str, message: Message) -> None:
        self.threads.add(threading.get_ident())
        self.said.append((key, message))


def _work(value: int, trouble: str = "", time_limit: float | None = None) -> Job:
    return Job(None, Work(_WORK, {"value": value, "trouble": trouble}, 0, time_limit))


def _key(done: Done) -> int | str:
    return done.number if isinstance(done, Trial) else done.key
