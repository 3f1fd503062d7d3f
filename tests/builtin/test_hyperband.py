"""Hyperband: which brackets there are, and who is promoted in them."""

from __future__ import annotations

from collections import Counter

import pytest

from nasplug.builtin.hyperband import STEP, Hyperband
from nasplug.builtin.regularized_evolution import RegularizedEvolution
from nasplug.builtin.successive_halving import BRACKET, RUNG
from nasplug.contract.errors import SpecError
from nasplug.testing import StrategyConformance, SyntheticEvaluator, SyntheticSpace, run_search


class TestHyperband(StrategyConformance):
    def make_strategy(self):
        return Hyperband()


class TestHyperbandOverEvolution(StrategyConformance):
    def make_strategy(self):
        return Hyperband(RegularizedEvolution(4, 2), eta=2)


def sizes(study):
    return Counter((t.proposal.info[BRACKET], t.proposal.info[RUNG]) for t in study.trials)


def test_the_brackets_are_those_of_the_paper():
    """Table 1 of the paper: R = 81 and eta = 3."""
    study = run_search(Hyperband(), trials=206, epochs=81)
    expected = {0: [81, 27, 9, 3, 1], 1: [0, 34, 11, 3, 1], 2: [0, 0, 15, 5, 1], 3: [0, 0, 0, 8, 2], 4: [0, 0, 0, 0, 5]}
    assert sizes(study) == {(b, r): size for b, rungs in expected.items() for r, size in enumerate(rungs) if size}
    for trial in study.trials:
        assert study.budget_of(trial).epochs == 3 ** trial.proposal.info[RUNG]
        assert trial.proposal.info[STEP] == trial.proposal.info[RUNG] - trial.proposal.info[BRACKET]


def test_after_the_last_bracket_the_first_follows_again():
    study = run_search(Hyperband(), trials=13 + 6 + 3 + 4, epochs=9)
    assert sizes(study) == {(0, 0): 9, (0, 1): 3, (0, 2): 1, (1, 1): 5, (1, 2): 1, (2, 2): 3, (3, 0): 4}


def test_the_best_of_a_bracket_are_promoted_and_nobody_else():
    study = run_search(Hyperband(), trials=22, epochs=9, evaluator=SyntheticEvaluator(noise=0.02))
    for bracket, low in ((0, 0), (1, 1), (2, 2)):
        rungs = {
            rung: [t for t in study.trials if (t.proposal.info[BRACKET], t.proposal.info[RUNG]) == (bracket, rung)]
            for rung in range(low, 3)
        }
        assert all(trial.proposal.parent is None for trial in rungs[low])
        for rung in range(low + 1, 3):
            best = sorted(rungs[rung - 1], key=study.score, reverse=True)[: len(rungs[rung])]
            assert {trial.proposal.parent for trial in rungs[rung]} == {trial.number for trial in best}


def test_the_inner_strategy_sees_every_architecture_once():
    inner = RegularizedEvolution(5, 2)
    study = run_search(Hyperband(inner, eta=2), space=SyntheticSpace(length=8), trials=40, epochs=4)
    fresh = [trial for trial in study.trials if trial.proposal.info[STEP] == 0]
    assert all(trial.proposal.parent is None for trial in fresh)
    assert {trial.proposal.info["origin"] for trial in fresh} == {"random", "mutation"}
    assert len({trial.architecture.key for trial in fresh}) == len(fresh)


def test_one_epoch_has_no_rungs():
    with pytest.raises(SpecError, match="no rungs"):
        run_search(Hyperband(), trials=3, epochs=1)
