"""The order inside of a front: an epsilon net, and its use by ASHA."""

from __future__ import annotations

import numpy as np
import pytest

from nasplug.builtin.ranking import best_first, epsilon_net_order
from nasplug.builtin.successive_halving import RUNG, Asha, SuccessiveHalving
from nasplug.contract.errors import SpecError
from nasplug.testing import StrategyConformance, run_search

OBJECTIVES = {"val_acc": "max", "params": "min"}


class TestAshaByNet(StrategyConformance):
    def make_strategy(self):
        return Asha(spread="epsilon_net")


def test_every_point_is_the_farthest_from_those_before():
    # On a line, scaled to 0, 0.1, 0.5, 0.9 and 1: the ends first, then the middle.
    line = np.array([[0.0, 10.0], [1.0, 9.0], [5.0, 5.0], [9.0, 1.0], [10.0, 0.0]])
    assert epsilon_net_order(line) == [0, 4, 2, 1, 3]
    assert epsilon_net_order(line * [1.0, 1000.0]) == [0, 4, 2, 1, 3]
    assert epsilon_net_order(np.ones((3, 2))) == [0, 1, 2]


def test_fronts_come_before_the_net():
    study = run_search("random", trials=30, objectives=OBJECTIVES)
    ordered = best_first(study, study.trials, "epsilon_net")
    front = study.pareto()
    assert {trial.number for trial in ordered[: len(front)]} == {trial.number for trial in front}
    assert ordered[0].number == max(front, key=study.score).number
    assert [t.number for t in ordered] != [t.number for t in best_first(study, study.trials)]


def test_asha_promotes_from_the_front_of_its_rung():
    study = run_search(SuccessiveHalving(spread="epsilon_net"), trials=12, epochs=9, objectives=OBJECTIVES)
    rungs = [[trial for trial in study.trials if trial.proposal.info[RUNG] == rung] for rung in (0, 1)]
    best = best_first(study, rungs[0], "epsilon_net")[:3]
    assert {trial.proposal.parent for trial in rungs[1]} == {trial.number for trial in best}


def test_refuses_another_order():
    with pytest.raises(SpecError, match="unknown spread 'random'"):
        Asha(spread="random")
