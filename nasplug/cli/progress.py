"""What a running search shows: live bars in a terminal, one line per finished trial anywhere else.

Everything goes to stderr, so that stdout stays for results.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from nasplug.cli.output import duration, number, printable, titled
from nasplug.contract.labels import shortened
from nasplug.contract.tracker import Plan, Tracker
from nasplug.contract.wording import plural

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.progress import Progress, TaskID

    from nasplug.contract.records import Measurement, Trial
    from nasplug.ledger.view import StudyView

#: Outside a terminal, lines that tell nothing new are at least this many seconds apart.
QUIET = 0.2
#: Characters of a label beside a bar.
_NARROW = 24


class _Running:
    """A trial that was handed to the executor."""

    def __init__(self, label: str, epochs: int) -> None:
        self.label, self.epochs = label, epochs
        self.measurement: Measurement | None = None


class LiveDisplay(Tracker):
    """Shows a run; the tracker of `nasplug.search` and of the command line.

    Args:
        console: Console to write to; default: stderr.

    Attributes:
        seconds: Wall time of the run so far.
    """

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console

        self._console = console or Console(stderr=True, highlight=False)
        self._live: Live | None = None
        self._lock = threading.Lock()
        self._study: StudyView | None = None
        self._plan = Plan()
        self._running: dict[int, _Running] = {}
        self._waiting: list[Trial] = []
        self._work: dict[str, tuple[float, Mapping[str, float]]] = {}
        self._counts = {"complete": 0, "pruned": 0, "failed": 0}
        self._known = 0
        self._resumed = 0
        self._best: Trial | None = None
        self._begin = time.monotonic()
        self._end: float | None = None
        self._printed = 0.0

    @property
    def seconds(self) -> float:
        """Wall time since the display was made, until the end of the run."""
        return (self._end or time.monotonic()) - self._begin

    # -- the tracker --------------------------------------------------------------------------------------------

    def started(self, study: StudyView, plan: Plan) -> None:
        """Begins to show; takes over what a resumed study holds."""
        with self._lock:
            self._study, self._plan, self._resumed = study, plan, plan.resumed
            for trial in self._waiting:
                self._running[trial.number] = _Running(study.label(trial), study.budget_of(trial).epochs)
            for trial in study.trials:
                self._count(trial)
            self._known = sum(self._counts.values())
        if self._resumed:
            self._console.print(f"resuming: {plural(self._resumed, 'trial')} already done", markup=False)
        if self._console.is_terminal:
            from rich.live import Live

            self._live = Live(
                console=self._console,
                get_renderable=self._render,
                refresh_per_second=5,
                vertical_overflow="crop",
                transient=False,
            )
            self._live.start()

    def submitted(self, trial: Trial) -> None:
        """A trial waits for a worker, or runs."""
        with self._lock:
            if self._study is None:  # a resumed run hands over its unfinished trials before it starts
                self._waiting.append(trial)
            else:
                self._running[trial.number] = _Running(self._study.label(trial), self._study.budget_of(trial).epochs)

    def measured(self, number: int, measurement: Measurement) -> None:
        """Shows an epoch that a running trial reported."""
        with self._lock:
            if number in self._running:
                self._running[number].measurement = measurement

    def worked(self, key: str, share: float, metrics: Mapping[str, float]) -> None:
        """Shows how far a strategy's work is, until it is done."""
        with self._lock:
            if share < 1.0:
                self._work[key] = share, metrics
            else:
                self._work.pop(key, None)
        if share >= 1.0 and not self._console.is_terminal:
            self._console.print("  ".join([_work_name(key), "done", *_numbers(metrics)]), markup=False, soft_wrap=True)

    def observed(self, trial: Trial) -> None:
        """A trial is finished."""
        with self._lock:
            fresh = self._running.pop(trial.number, None) is not None or trial.number >= self._resumed
            better = self._count(trial)
            self._known += not fresh
        if fresh and not self._console.is_terminal:
            self._line(trial, better)

    def noted(self, hint: str) -> None:
        """Shows a hint of the run."""
        self._console.print(f"note: {printable(hint)}", markup=False, soft_wrap=True)

    def ended(self) -> None:
        """Stops showing."""
        self._end = time.monotonic()
        if self._live is not None:
            with self._lock:
                self._running.clear()
                self._work.clear()
            self._live.stop()
            self._live = None

    # -- what is shown -------------------------------------------------------------------------------------------

    def _count(self, trial: Trial) -> bool:
        """Counts a finished trial and tells whether it is the best so far."""
        assert self._study is not None
        self._counts[trial.state] += 1
        study = self._study
        if not study.is_candidate(trial):
            return False
        if self._best is None or study.score(trial) > study.score(self._best):
            self._best = trial
            return True
        return False

    def _line(self, trial: Trial, better: bool) -> None:
        now = time.monotonic()
        done = sum(self._counts.values())
        if not better and now - self._printed < QUIET and done != self._total():
            return
        self._printed = now
        total = self._total()
        parts = [f"[{done}/{total}]" if total else f"[{done}]", self._titled(trial), trial.state]
        if trial.failure is not None:
            parts.append(f"({trial.failure.kind}: {trial.failure.message})")
        elif trial.reason:
            parts.append(f"({trial.reason})")
        else:
            parts.append(self._shown(trial))
        parts.append(f"{trial.seconds:.1f} s")
        if better:
            parts.append("best so far")
        self._console.print(printable("  ".join(parts)), markup=False, soft_wrap=True)

    def _titled(self, trial: Trial) -> str:
        assert self._study is not None
        return titled(trial.number, self._study.label(trial))

    def _total(self) -> int | None:
        return self._plan.trials

    def _shown(self, trial: Trial) -> str:
        """Objectives and size of a trial."""
        assert self._study is not None
        names = [objective.name for objective in self._study.objectives]
        names += [name for name in ("params",) if name in trial.costs and name not in names]
        return ", ".join(f"{printable(name)} {number(trial.values[name])}" for name in names if name in trial.values)

    def _left(self) -> str:
        """An estimate of the time left, from the pace of this run; in the end the time it took."""
        assert self._study is not None
        done, total = sum(self._counts.values()), self._total()
        if self._end is not None or done == total:
            return f"in {duration(self.seconds)}"
        fresh = done - self._known
        limit = self._plan.seconds
        bounds = [] if limit is None else [max(0.0, limit - self.seconds)]
        if total is not None and fresh > 0:
            bounds.append((total - done) * self.seconds / fresh)
        return f"about {duration(min(bounds))} left" if bounds else ""

    def state(self) -> tuple[int, int | None, str, str]:
        """Returns finished trials, trials in the end, their states with the time left, and the best one."""
        counts = ", ".join(f"{count} {state}" for state, count in self._counts.items() if count)
        best = "none yet" if self._best is None else f"{self._titled(self._best)}: {self._shown(self._best)}"
        words = ", ".join(part for part in (counts, self._left()) if part)
        return sum(self._counts.values()), self._total(), words, best

    def _visible(self) -> list[tuple[int, _Running]]:
        """Handed-out trials, most likely running first: those that reported, then in order of submission.

        The rest waits in the queue, or is over its last epoch and will be observed when its turn comes.
        """
        unfinished = [
            (number, state)
            for number, state in self._running.items()
            if state.measurement is None or state.measurement.step < state.epochs
        ]
        return sorted(unfinished, key=lambda item: (item[1].measurement is None, item[0]))

    def _render(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        with self._lock:
            running, work = self._visible(), dict(self._work)
        done, total = sum(self._counts.values()), self._total()
        counts = ", ".join(f"{count} {state}" for state, count in self._counts.items() if count)
        grid = Table.grid(padding=(0, 1))
        grid.add_column(no_wrap=True, overflow="crop", style="bold")
        grid.add_column(width=20)
        grid.add_column(no_wrap=True, overflow="crop")
        grid.add_row(
            "trials",
            ProgressBar(total=total or None, completed=done, width=20, pulse=total is None),
            Text(", ".join(part for part in (f"{done}/{total}" if total else str(done), counts, self._left()) if part)),
        )
        for key, (share, metrics) in work.items():
            words = Text("  ".join([f"{share:.0%}", *_numbers(metrics)]))
            grid.add_row(_work_name(key), ProgressBar(total=1.0, completed=share, width=20), words)
        for trial, state in running[: min(self._plan.workers, max(1, self._console.height - 4))]:
            measured = state.measurement
            step = 0 if measured is None else measured.step
            text = "starting" if measured is None else f"epoch {step}/{state.epochs}  {_metrics(measured)}"
            bar = ProgressBar(total=max(1, state.epochs), completed=step, width=20)
            grid.add_row(f"#{trial} {printable(shortened(state.label, _NARROW))}", bar, Text(text))
        best = self.state()[3]
        return Group(grid, Text(f"best   {best}", style="green", no_wrap=True, overflow="crop"))


class EpochDisplay:
    """Shows one training: a bar in a terminal, at most ten lines anywhere else.

    Args:
        epochs: Length of the training in epochs.
        console: Console to write to; default: stderr.
    """

    def __init__(self, epochs: int, console: Console | None = None) -> None:
        from rich.console import Console

        self._console = console or Console(stderr=True, highlight=False)
        self._epochs = epochs
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> EpochDisplay:
        if self._console.is_terminal:
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (BarColumn(20), TextColumn("{task.description}"), TimeRemainingColumn())
            self._progress = Progress(*columns, console=self._console)
            self._progress.start()
            self._task = self._progress.add_task("starting", total=self._epochs)
        return self

    def __exit__(self, *details: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def measured(self, number: int, measurement: Measurement) -> None:
        """An epoch is over."""
        text = f"epoch {measurement.step}/{self._epochs}  {_metrics(measurement)}"
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=measurement.step, description=text)
        elif measurement.step % max(1, -(-self._epochs // 10)) == 0:
            self._console.print(text, markup=False, soft_wrap=True)


def _metrics(measurement: Measurement) -> str:
    return "  ".join(_numbers(measurement.metrics))


def _numbers(metrics: Mapping[str, float]) -> list[str]:
    return [f"{printable(name)} {number(value)}" for name, value in list(metrics.items())[:4]]


def _work_name(key: str) -> str:
    """The function of a piece of work; the rest of its key is for folders."""
    return key.rpartition("-")[0] or key
