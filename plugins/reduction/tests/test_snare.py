"""SNARE: layers are scored, steps become smaller, and budgets are met."""

from __future__ import annotations

import pytest
from nasplug_reduction import ReductionSpace
from nasplug_reduction.strategies.snare import Snare

import nasplug as nas
from nasplug.contract.errors import SpecError
from nasplug.testing import StrategyConformance


def space(**settings):
    return ReductionSpace("nasplug_reduction.example:small_resnet", "random", inputs=(3, 16, 16), **settings)


class TestSnare(StrategyConformance):
    trials = 8
    stochastic = False

    def make_space(self):
        return space()

    def make_strategy(self):
        return Snare(0.2, generations=8, threshold=0.0, final_epochs=1)


class Needs:
    """Loses a lot as one group gets narrow, nothing for the others."""

    objectives = None

    def __init__(self, group):
        self.objectives, self.group = {"score": "max"}, group

    @nas.hookimpl
    def evaluate(self, run):
        width = run.space.widths(run.trial.architecture).get(self.group, 0)
        return nas.Evaluation({"score": width / 12})


def search(strategy, group="3.conv1", **settings):
    return nas.search(space=space(**settings), strategy=strategy, evaluator=Needs(group), trials=200)


def of(study, role):
    return [trial for trial in study.trials if trial.proposal.info["role"] == role]


def test_what_is_needed_stays_and_the_rest_goes():
    study = search(Snare(0.6, threshold=0.1, candidate_epochs=0))
    (found,) = of(study, "found")
    widths = study.space.widths(found.architecture)
    assert widths["3.conv1"] == 12
    assert study.space.params(found.architecture) <= 0.6 * study.space.params(study.space.full)


def test_the_first_step_is_large_and_failures_divide_it_by_four():
    study = search(Snare(0.15, threshold=0.1, candidate_epochs=0), blocks=False)
    steps = [t.proposal.info["step"] for t in of(study, "candidate") if t.proposal.info["layer"] == "width:3.conv1"]
    assert steps[:2] == [64, 32]  # both fail
    assert set(steps) <= {64, 32, 16, 8, 4}
    others = [t for t in of(study, "candidate") if t.proposal.info["layer"] != "width:3.conv1"]
    assert {t.proposal.info["step"] for t in others if t.metrics["score"] == 1} <= {64, 32}


def test_without_room_below_the_threshold_the_rest_is_taken_from_all():
    class Everything:
        objectives = None

        def __init__(self):
            self.objectives = {"score": "max"}

        @nas.hookimpl
        def evaluate(self, run):
            return nas.Evaluation({"score": run.space.params(run.trial.architecture)})

    study = nas.search(
        space=space(blocks=False), strategy=Snare(0.5, candidate_epochs=0), evaluator=Everything(), trials=200
    )
    (found,) = of(study, "found")
    full = study.space.params(study.space.full)
    assert 0.4 * full < study.space.params(found.architecture) <= 0.5 * full
    widths = list(study.space.widths(found.architecture).values())
    assert max(widths) - min(widths) <= 1


def test_short_trainings_are_counted_and_gone_on_from():
    study = search(Snare(0.5, threshold=10, candidate_epochs=2, final_epochs=3))
    found, uniform = of(study, "found")[0], of(study, "uniform")[0]
    kept = {t.number for t in of(study, "candidate")}
    assert found.proposal.inherits.trial in kept
    taken = (study.budget_of(uniform).epochs - 3) // 2
    assert taken >= 1
    assert study.budget_of(found).epochs == 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [({"step": 2}, "step must lie between"), ({"threshold": -1}, "must be >= 0"), ({"generations": 0}, "generations")],
)
def test_numbers_are_checked(arguments, says):
    with pytest.raises(SpecError, match=says):
        Snare(0.5, **arguments)
