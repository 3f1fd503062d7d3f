"""Every strategy that needs no supernet searches the spaces of segmentation networks."""

from __future__ import annotations

import pytest

import nasplug as nas
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.records import Evaluation
from nasplug.testing.synthetic import Shapes

SPACES = {
    "unet": nas.component("unet", max_depth=2, widths=[4, 8]),
    "qnas.segmentation": nas.component("qnas.segmentation", nodes=4, stem=4, kernels=[3]),
}
STRATEGIES = {
    "random": nas.component("random"),
    "regularized_evolution": nas.component("regularized_evolution", population_size=4, tournament_size=2),
    "qnas": nas.component("qnas", evolution={"quantum_individuals": 2}),
    "emonas": nas.component("emonas", population=3, offspring=3),
    "bogk": nas.component("bogk"),
    "optuna.tpe": nas.component("optuna.tpe"),
}


class Wide:
    """Scores a network by its parameters, and trains nothing."""

    objectives = {"val_dice": "max"}  # noqa: RUF012

    @hookimpl
    def evaluate(self, run):
        parameters = sum(each.numel() for each in run.network.parameters())
        return Evaluation({"val_dice": 1.0 - 1.0 / parameters})


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_it_searches(strategy, space):
    study = nas.search(
        Shapes((1, 16, 16), 3, "map"),
        space=SPACES[space],
        strategy=STRATEGIES[strategy],
        evaluator=Wide(),
        objectives={"val_dice": "max", "macs": "min"},
        trials=8,
        seed=1,
    )
    assert [trial.state for trial in study.trials] == ["complete"] * 8
    assert len({trial.architecture.key for trial in study.trials}) >= 4
    assert study.best.metrics["val_dice"] == max(trial.metrics["val_dice"] for trial in study.trials)
