"""Realistic studies, searched for real with a numeric stand-in for training."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import pytest

import nasplug as nas

OPERATIONS = ("conv_3_1_32", "conv_5_1_64", "bv1_3_1_64", "max_pool_2_2", "avg_pool_2_2", "no_op")
PARAMS = {"conv_3_1_32": 9e3, "conv_5_1_64": 5e4, "bv1_3_1_64": 7e4}


class ChainSpace(nas.ChoiceSpace):
    """Chains of twelve operations; `no_op` leaves a node out."""

    def __init__(self, nodes: int = 12) -> None:
        super().__init__("chain", [nas.Choice(f"node {i}", OPERATIONS) for i in range(nodes)])

    def build(self, architecture, task):
        raise AssertionError("nothing is built in these tests")

    def canonical(self, genotype):
        return tuple(name for name in genotype if name != "no_op")

    def graph(self, architecture):
        return nas.Graph.chain(tuple(str(name) for name in self.canonical(architecture.genotype)))


class CellSpace(nas.ChoiceSpace):
    """Cells of five operations in a small fixed wiring."""

    def __init__(self) -> None:
        super().__init__("cell", [nas.Choice(f"op {i}", ("conv3x3", "conv1x1", "maxpool3x3")) for i in range(5)])

    def build(self, architecture, task):
        raise AssertionError("nothing is built in these tests")

    def graph(self, architecture):
        edges = ((0, 1), (0, 2), (0, 3), (0, 6), (1, 4), (2, 4), (3, 5), (4, 6), (5, 6))
        return nas.Graph(("input", *map(str, architecture.genotype), "output"), edges)


class PlainSpace(nas.ChoiceSpace):
    """Named choices without a graph."""

    def __init__(self) -> None:
        super().__init__("plain", [nas.Choice("depth", (2, 4, 8)), nas.Choice("width", tuple(range(8, 264, 8)))])

    def build(self, architecture, task):
        raise AssertionError("nothing is built in these tests")


class Generations:
    """Samples, notes generation and a falling entropy, proposes a learning rate."""

    @nas.hookimpl
    def propose(self, study, count):
        proposals = []
        for index in range(study.proposed, study.proposed + count):
            rng = study.rng("generations", index)
            generation = index // 10
            info = {
                "generation": generation,
                "entropy": {"nodes": math.log(6) * math.exp(-generation / 8), "constant": 1.0},
                "max probability": 1 - 0.8 * math.exp(-generation / 6),
                "note": "text is not a number",
            }
            rate = {"lr": float(10 ** rng.uniform(-4, -1)), "optimiser": "adam" if rng.random() < 0.5 else "sgd"}
            proposals.append(study.proposal(study.space.sample(rng), rate, **info))
        return proposals


class PseudoTraining:
    """Learning curves that depend on the genotype; some trainings fail, some are pruned, some diverge."""

    objectives: ClassVar = {"val_acc": "max", "params": "min", "test_acc": "max"}

    def __init__(self, failures: bool = True, epochs: int = 8) -> None:
        self.failures, self.epochs = failures, epochs

    @nas.hookimpl
    def evaluate(self, run):
        trial = run.trial
        rng = np.random.default_rng(trial.number)
        if self.failures and rng.random() < 0.08:
            raise ValueError(f"kernel of size {trial.number} does not fit <script>alert('x')</script>")
        if self.failures and rng.random() < 0.03:
            raise MemoryError("out of memory on trial " + str(trial.number))
        genotype = trial.architecture.genotype
        params = 2e4 + sum(PARAMS.get(name, 0.0) for name in genotype)
        skill = 0.6 + 0.36 * (1 - math.exp(-params / 1.5e5)) + rng.normal(0, 0.01)
        steps = []
        pruned = "median stopper: 0.41 is below the median 0.62 of step 3" if rng.random() < 0.12 else None
        for step in range(1, 4 if pruned else self.epochs + 1):
            accuracy = skill * (1 - math.exp(-step / 2.5)) + rng.normal(0, 0.006)
            steps.append(nas.Measurement(step, {"val_acc": accuracy, "val_loss": -math.log(max(accuracy, 0.01))}))
        last = math.nan if self.failures and rng.random() < 0.01 else steps[-1].metrics["val_acc"]
        metrics = {"val_acc": last, "val_loss": steps[-1].metrics["val_loss"], "params": params, "test_acc": 0.123456}
        return nas.Evaluation(metrics, tuple(steps), pruned=pruned)


class Broken:
    """Every trial fails, each with its own number in the message."""

    objectives: ClassVar = {"val_acc": "max"}

    @nas.hookimpl
    def evaluate(self, run):
        raise ValueError(f"cannot <b>multiply</b> shapes 3 and {run.number}")


def search(**changes):
    """A search of 120 pseudo-trainings; any argument of `nasplug.search` may be changed."""
    arguments = {
        "space": ChainSpace(),
        "strategy": Generations(),
        "evaluator": PseudoTraining(),
        "objectives": {"val_acc": "max", "params": "min"},
        "constraints": ["params <= 400e3"],
        "trials": 120,
        "progress": False,
    }
    return nas.search(**{**arguments, **changes})


@pytest.fixture(scope="session")
def make():
    """Runs a search with changed arguments; `space` and `evaluator` may name a class of this module."""

    def run(**changes):
        for key in ("space", "evaluator"):
            if isinstance(changes.get(key), str):
                changes[key] = globals()[changes[key]]()
        return search(**changes)

    return run


@pytest.fixture(scope="session")
def small():
    """Ten trials with one plot, for what does not depend on the content."""
    return search(
        space=PlainSpace(),
        strategy="random",
        evaluator=PseudoTraining(epochs=1),
        objectives={"val_acc": "max"},
        constraints=[],
        trials=10,
    )


@pytest.fixture(scope="session")
def study():
    """Two objectives, a constraint, failures of several kinds, pruned trials, learning curves, provenance."""
    return search()
