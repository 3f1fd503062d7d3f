"""Trials that take time and no processor, to measure and to interrupt executors."""

from __future__ import annotations

import time

from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.records import Evaluation
from nasplug.evaluate.trialrun import TrialRun
from nasplug.testing.synthetic import SyntheticEvaluator


class SleepingEvaluator(SyntheticEvaluator):
    """Evaluates the synthetic problem after a nap.

    Args:
        seconds: Length of the nap.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__()
        self.seconds = seconds

    @hookimpl
    def evaluate(self, run: TrialRun) -> Evaluation:
        """Sleeps and evaluates."""
        time.sleep(self.seconds)
        evaluation: Evaluation = super().evaluate(run)
        return evaluation
