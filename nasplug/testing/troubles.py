"""What conformance suites run in workers: an evaluator that gets into trouble, and work that does."""

from __future__ import annotations

import os
import signal
import time

from nasplug.contract.errors import PluginError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import Json
from nasplug.contract.records import Evaluation
from nasplug.evaluate.trialrun import TrialRun
from nasplug.evaluate.workrun import WorkRun
from nasplug.testing.synthetic import SyntheticEvaluator

#: What a job can do to its process: end with an exit code, be killed, or never come back.
DEADLY = ("exit 0", "exit 1", "kill", "hang")


def make_trouble(kind: str) -> None:
    """Gets into trouble.

    Args:
        kind: One of `DEADLY`, `raise`, `broken` (an error that is not the candidate's fault), or empty for none.
    """
    if kind.startswith("exit "):
        os._exit(int(kind.removeprefix("exit ")))
    if kind == "kill":
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    if kind == "hang":
        time.sleep(600)
    if kind == "raise":
        raise RuntimeError("trouble by request")
    if kind == "broken":
        raise PluginError("broken by request", where="nasplug.testing")


class Troubled(SyntheticEvaluator):
    """Evaluates the synthetic problem, and gets into trouble in some trials.

    Args:
        trouble: See `make_trouble`.
        numbers: Trials that do.
    """

    def __init__(self, trouble: str = "", numbers: tuple[int, ...] = ()) -> None:
        super().__init__(noise=0.02)
        self.trouble, self.numbers = trouble, tuple(numbers)

    @hookimpl
    def evaluate(self, run: TrialRun) -> Evaluation:
        """Evaluates, or gets into trouble."""
        if run.number in self.numbers:
            make_trouble(self.trouble)
        evaluation: Evaluation = super().evaluate(run)
        return evaluation


def example_work(run: WorkRun, value: int = 0, trouble: str = "") -> dict[str, Json]:
    """Draws a number, says how far it is, and leaves a file."""
    run.progress(0.5, {"value": float(value)})
    make_trouble(trouble)
    (run.folder / "value.txt").write_text(str(value))
    drawn = float(run.rng("example").random())
    return {"value": value, "drawn": drawn, "seen": [trial.number for trial in run.study.trials]}
