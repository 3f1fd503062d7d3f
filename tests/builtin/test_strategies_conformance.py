"""Every built-in strategy keeps to what strategies must keep to."""

from __future__ import annotations

from nasplug.builtin.local_search import LocalSearch
from nasplug.builtin.random import RandomSearch
from nasplug.builtin.regularized_evolution import RegularizedEvolution
from nasplug.builtin.successive_halving import Asha, SuccessiveHalving
from nasplug.testing import StrategyConformance


class TestRandom(StrategyConformance):
    def make_strategy(self):
        return RandomSearch()


class TestRandomWithRepetitions(StrategyConformance):
    def make_strategy(self):
        return RandomSearch(distinct=False)


class TestEvolution(StrategyConformance):
    def make_strategy(self):
        return RegularizedEvolution(population_size=12, tournament_size=4)


class TestEvolutionWithCrossover(StrategyConformance):
    def make_strategy(self):
        return RegularizedEvolution(population_size=12, tournament_size=4, crossover=0.5)


class TestLocalSearch(StrategyConformance):
    def make_strategy(self):
        return LocalSearch(starts=4, neighbours=6)


class TestSuccessiveHalving(StrategyConformance):
    def make_strategy(self):
        return SuccessiveHalving()


class TestSmallBracketsOverEvolution(StrategyConformance):
    def make_strategy(self):
        return SuccessiveHalving(RegularizedEvolution(6, 3, crossover=0.3), eta=2, size=5)


class TestAsha(StrategyConformance):
    def make_strategy(self):
        return Asha()


class TestAshaOverEvolution(StrategyConformance):
    def make_strategy(self):
        return Asha(RegularizedEvolution(population_size=6, tournament_size=3), eta=2, min_epochs=2)
