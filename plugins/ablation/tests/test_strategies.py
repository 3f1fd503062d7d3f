"""Strategies: which variants, in which order, and what is found of a known truth."""

from __future__ import annotations

import pytest
from nasplug_ablation.report.effects import Results, effects
from nasplug_ablation.strategies.backward import Backward
from nasplug_ablation.strategies.loco import AddOneIn, LeaveOneOut, Pairs
from nasplug_ablation.strategies.shapley import Shapley
from nasplug_ablation.synthetic import WORTH, SyntheticAblation, SyntheticVariants, conformance, value

from nasplug.contract.errors import SpecError
from nasplug.testing import StrategyConformance
from nasplug.testing.search import run_search


def searched(strategy, noise=0.0, **options):
    options.setdefault("trials", strategy.length(len(WORTH)))
    return run_search(strategy, space=SyntheticVariants(), evaluator=SyntheticAblation(noise), batch=64, **options)


def found(study, strategy):
    return {effect.name: effect for effect in effects(Results(study), f"ablation.{strategy}")}


class TestLoco(StrategyConformance):
    """Leave one out keeps to the contract."""

    trials, stochastic = 18, False

    def make_strategy(self):
        return LeaveOneOut()

    def make_space(self):
        return SyntheticVariants()

    def make_evaluator(self, **trouble):
        return SyntheticAblation(noise=0.01, **trouble)


def test_the_base_comes_first_and_every_variant_has_the_same_seeds():
    study = searched(LeaveOneOut([3, 5]))
    rows = [(trial.architecture.genotype, trial.seed) for trial in study.trials]
    assert rows[:2] == [((), 3), ((), 5)]
    assert rows == [(names, seed) for names in [(), *((name,) for name in WORTH)] for seed in (3, 5)]


def test_leave_one_out_finds_what_each_is_worth():
    rows = found(searched(LeaveOneOut()), "loco")
    assert {name: round(-row.paired.mean, 9) for name, row in rows.items()} == WORTH
    assert {name: row.verdict for name, row in rows.items()} == {
        "strong": "helps",
        "weak": "helps",
        "idle": "within noise",
        "spare": "within noise",
        "bad": "hurts",
    }


def test_pairs_find_those_that_stand_in_for_each_other():
    rows = found(searched(Pairs([0, 1])), "pairs")
    interactions = {name: round(row.paired.mean, 9) for name, row in rows.items() if row.what == "interaction"}
    assert interactions.pop("idle x spare") == -0.2
    assert set(interactions.values()) == {0.0}
    assert len(interactions) == 9
    assert round(rows["strong + bad"].paired.mean, 9) == -0.2


def test_add_one_in_sees_what_leave_one_out_misses():
    rows = found(searched(AddOneIn([0, 1])), "add_one_in")
    # Alone, each twin is worth what both are missed for.
    assert round(-rows["idle"].paired.mean, 9) == 0.2
    assert round(-rows["strong"].paired.mean, 9) == 0.3


def test_backward_elimination_takes_the_useless_and_stops():
    study = searched(Backward([0, 1], tolerance=0.01))
    way = list(Backward(**Results(study).settings).path(study, list(WORTH)))
    # The harmful goes first; without it the base is left far behind, so that one twin and the weak one may go too.
    assert way[1] == ("bad",)
    assert way == [(), ("bad",), ("bad", "idle"), ("bad", "idle", "weak")]
    assert [row.name for row in effects(Results(study), "ablation.backward") if row.what == "step"] == [
        "step 1: bad",
        "step 2: idle",
        "step 3: weak",
    ]
    assert value(way[-1]) >= value(()) - 0.01
    assert len(study.trials) < Backward([0, 1]).length(len(WORTH))


def test_backward_elimination_keeps_what_it_is_told_to():
    study = searched(Backward([0], tolerance=9, keep=2))
    assert max(len(trial.architecture.genotype) for trial in study.trials) == len(WORTH) - 2
    assert len(study.trials) == Backward([0], keep=2).length(len(WORTH)) == 1 + 5 + 4 + 3


def test_shapley_values_share_what_twins_are_worth_together():
    rows = found(searched(Shapley([0, 1, 2, 3], orders=8)), "shapley")
    worth = {name: -row.paired.mean for name, row in rows.items()}
    assert worth["strong"] == pytest.approx(0.3)  # the same in every order
    assert worth["bad"] == pytest.approx(-0.1)
    assert worth["idle"] + worth["spare"] == pytest.approx(0.2)
    # An order and its reverse: each twin is the last one to go in one of the two.
    assert worth["idle"] == pytest.approx(0.1)
    assert sum(worth.values()) == pytest.approx(value(()) - value(WORTH))


def test_a_seed_that_stands_twice_is_refused():
    with pytest.raises(SpecError, match="cannot train with the seeds"):
        LeaveOneOut([1, 1])
    with pytest.raises(SpecError, match="too small"):
        Shapley(orders=0)


@pytest.mark.parametrize("kind", [LeaveOneOut, Pairs, AddOneIn, Backward, Shapley])
def test_the_conformance_suite_fits_each_strategy(kind):
    given = conformance(kind)
    strategy = kind()
    study = run_search(
        strategy, space=SyntheticVariants(), evaluator=SyntheticAblation(0.01), trials=given["trials"], batch=4
    )
    assert len(study.trials) == given["trials"]
