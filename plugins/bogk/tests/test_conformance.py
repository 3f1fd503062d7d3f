"""The strategy keeps to everything that nasplug asks of its plugins."""

from __future__ import annotations

from nasplug_bogk.strategy import BayesianOptimisation

from nasplug.testing import StrategyConformance


class TestDefault(StrategyConformance):
    trials = 14

    def make_strategy(self):
        return BayesianOptimisation(initial=5, pool=15)


class TestWeisfeilerLehmanWithNoise(StrategyConformance):
    trials = 12

    def make_strategy(self):
        return BayesianOptimisation("wl", acquisition="aei", initial=4, pool=10, rounds=1, transform="quantile")


class TestSumByThompsonSampling(StrategyConformance):
    trials = 12

    def make_strategy(self):
        return BayesianOptimisation("gcn+sp", acquisition="thompson", initial=4, pool=10, noise=0.01)
