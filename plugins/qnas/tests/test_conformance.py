"""The strategy and the spaces keep to everything that nasplug asks of its plugins."""

from __future__ import annotations

from nasplug_qnas.spaces import ConvSpace, ResidualSpace
from nasplug_qnas.strategy import QNAS

from nasplug.testing import SpaceConformance, StrategyConformance


class TestStrong(StrategyConformance):
    def make_strategy(self):
        return QNAS(evolution={"quantum_individuals": 3, "repetition": 2})


class TestAnchored(StrategyConformance):
    def make_strategy(self):
        return QNAS("anchored")


class TestEvolvingNumbersWithElitism(StrategyConformance):
    def make_strategy(self):
        return QNAS(
            hyperparameters={"lr": [1e-4, 1e-1, "log"], "decay": [0.1, 0.999], "optimizer": "rmsprop"},
            evolution={"quantum_individuals": 2, "repetition": 2, "replacement": "elitism", "gene_crossover": "hux"},
        )


class TestCifar2022OnItsOwnSpace(StrategyConformance):
    trials = 45  # two generations of 20 and a part of the third

    def make_strategy(self):
        return QNAS(preset="cifar2022", evolution={"update_interval": 1})

    def make_space(self):
        return ConvSpace(nodes=6)


class TestConv(SpaceConformance):
    input_shapes = ((3, 32, 32), (1, 8, 8))

    def make_space(self):
        return ConvSpace(nodes=6, width=0.125)


class TestConvFlattened(SpaceConformance):
    input_shapes = ((1, 28, 28),)

    def make_space(self):
        return ConvSpace("conv9", nodes=4, head="flatten", prior="uniform", width=0.125, he_bias=True)


class TestResidual(SpaceConformance):
    input_shapes = ((3, 32, 32), (1, 8, 8))

    def make_space(self):
        return ResidualSpace(nodes=6, width=0.125)
