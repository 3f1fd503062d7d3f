"""The strategy: what it proposes, what it learns from, and how it searches."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from nasplug_bogk.strategy import BayesianOptimisation
from nasplug_bogk.targets import targets, usable

from nasplug.contract.errors import SpecError, UnknownNameError
from nasplug.contract.records import Failure, Proposal, Trial
from nasplug.ledger.ledger import Ledger
from nasplug.testing import SyntheticCost, SyntheticEvaluator, SyntheticSpace, outcome, run_search
from nasplug.testing.synthetic import OPERATIONS, accuracy, best_accuracy

SPACE = SyntheticSpace()


def small(kernel="rw", **settings):
    return BayesianOptimisation(kernel, **{"initial": 5, "pool": 30, **settings})


def trial(number, *operations, state="complete", **metrics):
    failure = Failure("error", "broken") if state == "failed" else None
    proposal = Proposal(SyntheticSpace(length=len(operations)).architecture(operations))
    return Trial(number, proposal, state=state, metrics=metrics, failure=failure)


def study_of(*trials, objectives=(("val_acc", "max"),), constraints=()):
    return Ledger.of(SPACE, dict(objectives), constraints=constraints, trials=trials).view


def values_of(study, transform="none"):
    return targets(study, usable(study), transform, np.random.default_rng(0))


@pytest.mark.parametrize("kernel", ["wl", "gcn_infinite"])
def test_it_searches_much_better_than_chance(kernel):
    best = best_accuracy(8, epochs=9)
    reached = {"bogk": [], "random": []}
    for seed in range(3):
        for name, strategy in (("bogk", small(kernel)), ("random", "random")):
            study = run_search(strategy, space=SyntheticSpace(length=8), trials=40, seed=seed)
            reached[name].append(best - study.best.values["val_acc"])
    assert np.mean(reached["bogk"]) < 0.3 * np.mean(reached["random"])


def test_a_cost_to_minimise():
    study = run_search(small(), objectives={"params": "min"}, trials=40)
    assert study.best.values["params"] == 6.0  # all skip


def test_nothing_is_proposed_twice():
    study = run_search(small(), trials=40, batch=7)
    keys = [each.architecture.key for each in study.trials]
    assert len(set(keys)) == len(keys)


def test_two_objectives_spread_over_the_front():
    objectives = {"val_acc": "max", "params": "min"}
    reference = {"val_acc": 0.0, "params": 400.0}
    study = run_search(small(), objectives=objectives, trials=50, seed=1)
    other = run_search("random", objectives=objectives, trials=50, seed=1)
    assert study.hypervolume(reference) > other.hypervolume(reference)
    assert len(study.pareto()) > len(other.pareto())


def test_constraints_draw_the_search_inside():
    study = run_search(small(), constraints=["units <= 5"], costs={"units": SyntheticCost()}, trials=40)
    kept = [study.is_candidate(each) for each in study.trials]
    assert sum(kept[:10]) < 4 < sum(kept[-20:])


def test_a_batch_spreads_out():
    """Trials that are running count as known: the next proposal is another one."""
    study = run_search(small("wl", acquisition="ucb"), trials=20, batch=1)
    strategy = small("wl", acquisition="ucb")
    batch = strategy.propose(study, 4)
    assert len({each.architecture.key for each in batch}) == 4
    first = small("wl", acquisition="ucb").propose(study, 1)
    assert first[0].architecture == batch[0].architecture, "count decides how many, never which"


def test_nothing_but_trials_decides():
    whole = run_search(small("gcn+sp"), trials=30, batch=4)
    fresh = small("gcn+sp")  # has seen nothing of the search
    pending = [Trial(each.number, each.proposal) for each in whole.trials[20:23]]
    cut = Ledger.of(SPACE, whole.objectives, seed=whole.seed, trials=[*whole.trials[:20], *pending]).view
    assert fresh.propose(cut, 1)[0].architecture == whole.trials[23].architecture
    assert json.dumps(fresh.state_dict()) == "{}"


@pytest.mark.parametrize("acquisition", ["ei", "aei", "ucb", "thompson"])
def test_every_acquisition_searches(acquisition):
    study = run_search(small("wl", acquisition=acquisition), trials=30, seed=2)
    assert study.best.values["val_acc"] > 0.8
    assert study.trials[-1].proposal.info["origin"] == acquisition


def test_noise_averages_out():
    evaluator = SyntheticEvaluator(noise=0.05)
    study = run_search(small("wl", acquisition="aei"), evaluator=evaluator, trials=60)
    process, trials = small("wl").posterior(study)
    assert process.noise > 1e-3
    assert len(trials) == 60


def test_equal_seeds_equal_trials_for_every_kernel():
    for kernel in ("wl", "sp", "rw", "gcn", "gcn_infinite", "gcn_infinite+rw"):
        one, two = (run_search(small(kernel), trials=10, seed=3, batch=batch) for batch in (2, 2))
        assert outcome(one) == outcome(two)


# -- targets ---------------------------------------------------------------------------------------------------------


def test_targets_are_standardised_and_ordered():
    study = study_of(*(trial(i, "wide", val_acc=v) for i, v in enumerate((0.2, 0.9, 0.5))))
    for transform in ("none", "log_error", "quantile", "auto"):
        values = values_of(study, transform)
        assert values.mean() == pytest.approx(0.0)
        assert values.std() == pytest.approx(1.0)
        assert np.argsort(values).tolist() == [0, 2, 1]


def test_log_error_spreads_the_top():
    study = study_of(*(trial(i, "wide", val_acc=v) for i, v in enumerate((0.5, 0.9, 0.99))))
    low, middle, top = values_of(study, "auto")
    assert top - middle > middle - low
    percent = study_of(*(trial(i, "wide", val_acc=v) for i, v in enumerate((50.0, 90.0, 99.0))))
    np.testing.assert_allclose(values_of(percent, "log_error"), [low, middle, top])
    np.testing.assert_allclose(values_of(percent, "auto"), [low, middle, top])
    other = study_of(*(trial(i, "wide", f1=v) for i, v in enumerate((50.0, 90.0, 99.0))), objectives=[("f1", "max")])
    low, middle, top = values_of(other, "auto")  # may as well be something else than per cent
    assert top - middle < middle - low


def test_objectives_to_minimise_are_turned_round():
    study = study_of(trial(0, "wide", params=3.0), trial(1, "skip", params=1.0), objectives=[("params", "min")])
    assert values_of(study)[1] > values_of(study)[0]


def test_failed_trials_are_worst_and_stopped_ones_poor():
    good = [trial(i, "wide", val_acc=v) for i, v in enumerate((0.1, 0.2, 0.3, 0.4))]
    study = study_of(*good, trial(4, "skip", state="failed"), trial(5, "skip", state="pruned"))
    values = values_of(study)
    assert values[4] == values.min() == values[0]
    assert values[0] < values[5] < values[2]


def test_violations_rank_below_everything_feasible():
    study = study_of(
        *(trial(i, "wide", val_acc=v, size=s) for i, (v, s) in enumerate(((0.9, 20.0), (0.1, 5.0), (0.99, 11.0)))),
        constraints=["size <= 10"],
    )
    values = values_of(study)
    assert np.argsort(values).tolist() == [0, 2, 1]


def test_without_a_feasible_trial_the_violation_leads():
    study = study_of(
        *(trial(i, "wide", val_acc=0.5, size=s) for i, s in enumerate((20.0, 12.0, 1e9))), constraints=["size <= 10"]
    )
    assert np.argsort(values_of(study)).tolist() == [2, 0, 1]


def test_all_equal_or_all_failed_gives_zeros():
    assert (values_of(study_of(*(trial(i, "wide", val_acc=0.5) for i in range(3)))) == 0).all()
    assert (values_of(study_of(*(trial(i, "wide", state="failed") for i in range(3)))) == 0).all()


def test_copies_say_nothing_new():
    study = study_of(trial(0, "wide", val_acc=0.5), trial(1, "wide", val_acc=0.5).with_(copied_from=0))
    assert [each.number for each in usable(study)] == [0]


def test_values_that_are_missing_or_infinite_do_no_harm():
    study = study_of(trial(0, "wide", val_acc=0.5), trial(1, "skip"), trial(2, "middle", val_acc=math.nan))
    assert np.isfinite(values_of(study)).all()


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"kernel": "wm"}, UnknownNameError, "wl"),
        ({"acquisition": "pi"}, SpecError, "unknown"),
        ({"transform": "log"}, SpecError, "log_error"),
        ({"initial": 1}, SpecError, "2 or more"),
        ({"pool": 0}, SpecError, "1 or more"),
        ({"random_share": 2.0}, SpecError, r"must lie in \[0, 1\], got 2.0"),
        ({"noise": -1.0}, SpecError, "0 or more"),
    ],
)
def test_bad_settings_are_refused(settings, error, text):
    with pytest.raises(error, match=text):
        BayesianOptimisation(**settings)


def test_it_recommends_by_the_posterior_which_is_less_fooled_by_noise():
    found = {"measured": [], "posterior": []}
    for seed in range(6):
        study = run_search("random", evaluator=SyntheticEvaluator(noise=0.2), trials=60, seed=seed)
        number = BayesianOptimisation().recommend(study)
        for name, trial in (("measured", study.best), ("posterior", study.trial(number))):
            options = tuple(OPERATIONS.index(each) for each in trial.architecture.genotype)
            found[name].append(accuracy(options, 9))
    assert sum(found["posterior"]) > sum(found["measured"]) + 0.05


def test_it_has_no_opinion_on_few_trials_or_several_objectives():
    study = run_search(BayesianOptimisation(initial=10), trials=6)
    assert BayesianOptimisation(initial=10).recommend(study) is None
    both = run_search(BayesianOptimisation(initial=3), objectives={"val_acc": "max", "params": "min"}, trials=8)
    assert BayesianOptimisation(initial=3).recommend(both) is None
