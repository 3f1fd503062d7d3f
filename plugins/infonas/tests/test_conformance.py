"""The strategies keep to everything that nasplug asks of its plugins."""

from __future__ import annotations

import pytest
from nasplug_infonas.strategies.bo import EmbeddingBO
from nasplug_infonas.strategies.reinforce import EmbeddingReinforce
from nasplug_infonas.strategies.screen import Screen
from nasplug_qnas.strategy import QNAS

from nasplug.builtin.regularized_evolution import RegularizedEvolution
from nasplug.testing import StrategyConformance, SyntheticSpace

pytestmark = pytest.mark.filterwarnings("ignore:this encoder reconstructs")


class Small(StrategyConformance):
    __test__ = False
    trials = 20

    def make_space(self):
        return SyntheticSpace(length=4)


class TestReinforce(Small):
    __test__ = True
    several_objectives = False

    def make_strategy(self):
        return EmbeddingReinforce(episode=6)


class TestBO(Small):
    __test__ = True
    several_objectives = False

    def make_strategy(self):
        return EmbeddingBO(initial=8, per_round=8, pool=100)


@pytest.mark.slow
class TestDNGOAsPublished(Small):
    __test__ = True
    several_objectives = False
    trials = 14

    def make_strategy(self):
        return EmbeddingBO(kind="mean", surrogate="dngo", ranks=False, initial=8, per_round=4)


class TestScreenedEvolution(Small):
    __test__ = True

    def make_strategy(self):
        inner = RegularizedEvolution(population_size=8, tournament_size=3)
        return Screen(inner, factor=3, start=10, refit=10)


@pytest.mark.slow
class TestScreenedQNAS(Small):
    __test__ = True

    def make_strategy(self):
        inner = QNAS(evolution={"quantum_individuals": 4, "repetition": 3})
        return Screen(inner, predictor="forest", kind="mean", factor=3, start=8, refit=12)
