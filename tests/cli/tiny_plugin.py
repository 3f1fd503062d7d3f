"""A space and an evaluator that need no torch, loaded by the tests with --plugin."""

from __future__ import annotations

import math
import os
import signal
import time
from typing import ClassVar

import nasplug as nas


@nas.hookimpl
def register(catalog: nas.Catalog) -> None:
    module = __name__
    catalog.space("tiny", f"{module}:Tiny", summary="Two numbers.")
    catalog.evaluator("bowl", f"{module}:Bowl", summary="A bowl with its floor at (3, 1).")
    catalog.cost("weight", f"{module}:Weight", summary="The sum of the numbers.")
    catalog.command("greet", f"{module}:Greet", summary="Says hello.")


class Tiny(nas.ChoiceSpace):
    """Two numbers.

    Args:
        width: How many values each number may have.
    """

    def __init__(self, width: int = 6) -> None:
        super().__init__("tiny", [nas.Choice("x", tuple(range(width))), nas.Choice("y", tuple(range(width)))])

    def build(self, architecture, task):
        raise NotImplementedError


class Bowl:
    """Height of a bowl.

    Args:
        sleep: Seconds per epoch.
        fail: Whether every trial fails.
    """

    objectives: ClassVar = {"height": "min", "depth": "max"}

    def __init__(self, sleep: float = 0.0, fail: bool = False) -> None:
        self.sleep, self.fail = sleep, fail

    @nas.hookimpl
    def evaluate(self, run):
        trial = run.trial
        x, y = trial.architecture.genotype
        if self.fail or (x, y) == (0, 0):
            raise ValueError("no bowl here")
        height = float((x - 3) ** 2 + (y - 1) ** 2)
        for step in range(1, run.budget.epochs + 1):
            time.sleep(self.sleep)
            run.report(nas.Measurement(step, {"height": height + 1 / step}))
        if os.environ.get("TINY_INTERRUPT") == str(trial.number):
            os.kill(os.getpid(), signal.SIGINT)  # as Ctrl-C does
            time.sleep(5)
        return nas.Evaluation({"height": height, "depth": -height, "odd": math.nan}, tuple(run.measurements))


class Weight:
    """The sum of the numbers."""

    @nas.hookimpl
    def cost(self, candidate, target):
        return {"weight": float(sum(candidate.architecture.genotype))}


class Greet:
    """Says hello."""

    @staticmethod
    def add_arguments(parser):
        sub = parser.add_subparsers(dest="what", required=True)
        sub.add_parser("world").add_argument("--loud", action="store_true")

    @staticmethod
    def run(arguments):
        print("HELLO WORLD" if arguments.loud else "hello world")
        return 0
