"""Every sampler keeps to what nasplug asks of strategies."""

from __future__ import annotations

import pytest
from nasplug_optuna.strategy import NSGA2, NSGA3, QMC, TPE, BruteForce, Grid, OptunaStrategy, Random

from nasplug.testing import StrategyConformance


class TestTPE(StrategyConformance):
    def make_strategy(self):
        return TPE()


class TestTPEWithHyperparameters(StrategyConformance):
    def make_strategy(self):
        return OptunaStrategy(
            "TPESampler",
            {"multivariate": True, "group": True, "n_startup_trials": 5},
            hyperparameters={
                "lr": [1e-4, 1e-1, "log"],
                "layers": [1, 8, "int"],
                "optimiser": ["adam", "sgd"],
                "decay": 0,
            },
        )


class TestRandom(StrategyConformance):
    def make_strategy(self):
        return Random()


class TestNSGA2(StrategyConformance):
    def make_strategy(self):
        return NSGA2(population_size=6, crossover="uniform")


class TestNSGA3(StrategyConformance):
    def make_strategy(self):
        return NSGA3(population_size=6)


class TestQMC(StrategyConformance):
    stochastic = False

    def make_strategy(self):
        pytest.importorskip("scipy")
        return QMC()


class TestGrid(StrategyConformance):
    def make_strategy(self):
        return Grid()


class TestBruteForce(StrategyConformance):
    def make_strategy(self):
        return BruteForce()


class TestPartialFixed(StrategyConformance):
    def make_strategy(self):
        return OptunaStrategy(
            "partial_fixed", {"fixed_params": {"position0": "wide"}, "base_sampler": {"tpe": {"n_startup_trials": 5}}}
        )


class TestCMAES(StrategyConformance):
    several_objectives = False

    def make_strategy(self):
        pytest.importorskip("cmaes")
        return OptunaStrategy("cmaes", {"popsize": 4})
