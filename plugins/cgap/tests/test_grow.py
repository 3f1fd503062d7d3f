"""Growth and pruning as a search: every stage a trial, of which the best networks go on."""

from __future__ import annotations

import pytest
from nasplug_cgap.growth.orders import ORDER, Order, order_of
from nasplug_cgap.growth.plugin import CGaP
from nasplug_cgap.growth.settings import Growth, Pruning
from nasplug_cgap.growth.strategy import Grow, stage_epochs

import nasplug as nas
from nasplug.builtin.successive_halving import SuccessiveHalving
from nasplug.contract.errors import SpecError, TrialError
from nasplug.testing import StrategyConformance

from .conftest import Nets, blobs

GROWTH, PRUNING = Growth(seed=0.5, min_channels=2, capacity=1.5), Pruning(keep=0.7)


class TestGrow(StrategyConformance):
    def make_strategy(self):
        return Grow(candidates=3, keep=2, branches=2, growth=2, pruning=2)


class TestGrowInOneWay(StrategyConformance):
    def make_strategy(self):
        return Grow(candidates=1, keep=1, branches=1, growth=3, pruning=0)


def search(strategy, trials, epochs, callback=None, **options):
    return nas.search(
        blobs(),
        space=Nets(),
        strategy=strategy,
        callbacks=[CGaP(growth=GROWTH, pruning=PRUNING) if callback is None else callback],
        objectives={"val_acc": "max"},
        costs=["params"],
        trials=trials,
        epochs=epochs,
        progress=False,
        **options,
    )


def kinds(trial):
    return [edit["do"] for edit in trial.edits]


def work_of(trial):
    return trial.measurements[-1].metrics["cgap/train_flops"]


def test_a_network_grows_and_shrinks_over_trials(tmp_path):
    study = search(Grow(candidates=1, branches=1, growth=2, pruning=1), 5, 5, storage=tmp_path / "s.sqlite")
    assert [trial.state for trial in study.trials] == ["complete"] * 5
    assert [trial.proposal.parent for trial in study.trials] == [None, 0, 1, 2, 3]
    assert [kinds(trial) for trial in study.trials] == [
        ["remove"],
        ["remove", "split"],
        ["remove", "split", "split"],
        ["remove", "split", "split", "remove"],
        ["remove", "split", "split", "remove"],
    ]
    params = [trial.costs["params"] for trial in study.trials]
    whole = sum(value.numel() for value in Nets().build(study.trials[0].architecture, blobs()).parameters())
    assert params[0] < params[1] < params[2] <= 1.5 * whole
    assert params[4] == params[3] <= 0.7 * whole, "shares mean the network as it was handed over, in every stage"
    work = [work_of(trial) for trial in study.trials]
    assert work == sorted(work), "the work of a training that goes on is that of all its stages"
    last = study.trials[-1]
    built = study.network(last)
    assert sum(value.numel() for value in built.parameters()) == last.costs["params"]


def test_the_best_of_several_ways_goes_on():
    study = search(Grow(candidates=2, keep=1, branches=3, growth=1, pruning=0), 6, 3)
    seeds, ways, last = study.trials[:2], study.trials[2:5], study.trials[5]
    best = max(seeds, key=lambda trial: (trial.metrics["val_acc"], -trial.number))
    assert {trial.proposal.parent for trial in ways} == {best.number}
    factors = [trial.proposal.info[ORDER].get("factor", 1.0) for trial in ways]
    assert factors[0] == 1.0
    assert len(set(factors)) == 3
    assert all(0.5 <= factor <= 2.0 for factor in factors)
    assert last.proposal.parent == max(ways, key=lambda trial: (trial.metrics["val_acc"], -trial.number)).number


def test_the_same_network_in_one_training_and_in_stages_has_the_same_schedule():
    study = search(Grow(candidates=1, branches=1, growth=1, pruning=1), 4, 8)
    assert [(trial.proposal.budget.epochs, trial.proposal.budget.total) for trial in study.trials] == [
        (2, 8),
        (4, 8),
        (6, 8),
        (8, 8),
    ]
    assert [measured.step for measured in study.trials[1].measurements] == [3, 4]


def test_without_the_callback_nothing_grows_and_that_is_said():
    with pytest.raises(SpecError, match="did not become a seed") as refused:
        nas.search(
            blobs(), space=Nets(), strategy=Grow(candidates=1), objectives={"val_acc": "max"}, trials=2, epochs=7
        )
    assert "callbacks: [cgap]" in str(refused.value)


def test_other_strategies_continue_a_network_that_grows():
    whole = search("random", 2, 4)
    halves = search(SuccessiveHalving(eta=2, min_epochs=1, max_epochs=4, size=2), 4, 4)
    first, second = halves.trials[2:]
    assert second.proposal.parent == first.number
    alone = whole.trials[first.proposal.parent]
    assert kinds(first) == kinds(alone)[: len(kinds(first))]
    assert kinds(second) == kinds(alone)
    assert [measured.step for measured in second.measurements] == [3, 4]
    assert second.measurements[-1].metrics["cgap/params"] == alone.measurements[-1].metrics["cgap/params"]
    assert work_of(second) == work_of(alone)


def test_stages_share_the_epochs():
    assert stage_epochs(9, 4) == [2, 4, 6, 9]
    assert stage_epochs(4, 4) == [1, 2, 3, 4]
    with pytest.raises(SpecError, match="5 stages do not fit into 4 epochs"):
        stage_epochs(4, 5)


@pytest.mark.parametrize(
    "settings", [{"candidates": 0}, {"keep": 0}, {"branches": 0}, {"growth": 0}, {"pruning": -1}, {"spread": 0.5}]
)
def test_settings_are_checked(settings):
    with pytest.raises(SpecError, match=r"cgap\.grow"):
        Grow(**settings)


def test_it_does_not_stand_around_what_continues_trainings():
    with pytest.raises(SpecError, match="continues trainings itself"):
        Grow(SuccessiveHalving(max_epochs=9))


def test_orders_are_json():
    order = Order("grow", factor=0.5)
    assert order_of({ORDER: order.to_plain()}, "trial 0") == order
    assert order_of({}, "trial 0") is None
    for wrong in ({"do": "fly"}, {"do": "grow", "speed": 1}, "grow"):
        with pytest.raises(TrialError, match="trial 0: the order"):
            order_of({ORDER: wrong}, "trial 0")
