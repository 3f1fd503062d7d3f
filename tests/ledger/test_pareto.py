"""Which trials count, at the bounds of constraints and where values are missing or not finite."""

from __future__ import annotations

import math

import pytest

import nasplug as nas
from nasplug.contract.errors import StudyError
from nasplug.contract.records import Constraint, Objective
from nasplug.ledger import pareto

ACCURACY, LATENCY = Objective("acc", "max"), Objective("latency", "min")
CONSTRAINTS = (Constraint.parse("size <= 100"), Constraint.parse("acc >= 0.5"))


def trial(number=0, state="complete", **values):
    proposal = nas.Proposal(nas.Architecture("s", (number,), str(number)))
    return nas.Trial(number, proposal, state=state, seed=0, metrics=values)


@pytest.mark.parametrize(
    ("values", "violation"),
    [
        ({"size": 100.0, "acc": 0.5}, 0.0),  # exactly at both bounds
        ({"size": 101.0, "acc": 0.5}, 0.01),
        ({"size": 150.0, "acc": 0.25}, 1.0),
        ({"size": 90.0}, math.inf),
        ({"size": math.nan, "acc": 0.9}, math.inf),
        ({}, math.inf),
    ],
)
def test_a_complete_trial_must_keep_every_constraint(values, violation):
    finished = trial(**values)
    assert pareto.violation(finished, CONSTRAINTS) == pytest.approx(violation)
    assert pareto.is_candidate(finished, (), CONSTRAINTS) == (violation == 0.0)


@pytest.mark.parametrize("state", ["pruned", "failed", "waiting"])
def test_what_was_never_measured_is_not_a_violation_of_an_unfinished_trial(state):
    assert pareto.violation(trial(state=state, size=150.0), CONSTRAINTS) == 0.5
    assert pareto.violation(trial(state=state), CONSTRAINTS) == 0.0
    assert not pareto.is_candidate(trial(state=state, size=50.0, acc=0.9), (ACCURACY,), CONSTRAINTS)


def test_a_bound_of_zero_counts_in_units_of_the_value():
    assert pareto.violation(trial(drop=0.25), (Constraint.parse("drop <= 0"),)) == 0.25


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_every_objective_must_be_finite(value):
    values = {"acc": 0.9} | ({} if value is None else {"latency": value})
    assert not pareto.is_candidate(trial(**values), (ACCURACY, LATENCY), ())
    assert pareto.is_candidate(trial(**values), (ACCURACY,), ())


def test_of_equal_points_the_first_one_is_on_the_front_and_the_best_comes_first():
    trials = [
        trial(0, acc=0.5, latency=1.0),
        trial(1, acc=0.9, latency=3.0),
        trial(2, acc=0.5, latency=1.0),
        trial(3, acc=0.9, latency=4.0),
    ]
    assert [t.number for t in pareto.pareto_front(trials, (ACCURACY, LATENCY))] == [1, 0]
    assert pareto.pareto_front([], (ACCURACY, LATENCY)) == []
    assert max(trials, key=lambda t: pareto.best_key(t, (ACCURACY,))).number == 1  # the earlier of two equal ones


def test_hypervolume_by_hand():
    trials = [trial(0, acc=0.5, latency=1.0), trial(1, acc=0.9, latency=3.0)]
    objectives = (ACCURACY, LATENCY)
    reference = {"acc": 0.1, "latency": 4.0}
    assert pareto.hypervolume(trials, objectives, reference) == pytest.approx(0.4 * 3 + 0.4 * 1)
    assert pareto.hypervolume(trials, objectives) == 0.0  # each is the worst in one objective
    assert pareto.hypervolume([], objectives) == 0.0
    assert pareto.hypervolume(trials, (ACCURACY,), {"acc": 0.25}) == pytest.approx(0.65)
    with pytest.raises(StudyError, match="no value for 'latency'"):
        pareto.hypervolume(trials, objectives, {"acc": 0.0})
