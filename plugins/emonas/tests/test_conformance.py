"""The parts keep to everything that nasplug asks of its plugins."""

from __future__ import annotations

from nasplug_emonas.boo.cost import Boo
from nasplug_emonas.macro import MacroSpace
from nasplug_emonas.micro import MicroSpace
from nasplug_emonas.strategy import EMONAS

from nasplug.testing import CostConformance, SpaceConformance, StrategyConformance


class TestGenerations(StrategyConformance):
    def make_strategy(self):
        return EMONAS(population=6, offspring=6)


class TestGenotypesAreDistinct(StrategyConformance):
    def make_strategy(self):
        return EMONAS("nsganet_micro", population=8, offspring=4)


class TestSteadyState(StrategyConformance):
    def make_strategy(self):
        return EMONAS(population=8, offspring=1)


class TestMacro(SpaceConformance):
    input_shapes = ((3, 32, 32), (1, 8, 8))

    def make_space(self):
        return MacroSpace(channels=4)


class TestMacroPreact(SpaceConformance):
    input_shapes = ((1, 28, 28),)

    def make_space(self):
        return MacroSpace(nodes=[3, 5], channels=[4, 4], decoder="preact")


class TestMacroDense(SpaceConformance):
    input_shapes = ((2, 9, 13),)

    def make_space(self):
        return MacroSpace(nodes=3, channels=[4, 4, 6], decoder="dense", growth=3)


class TestMicro(SpaceConformance):
    input_shapes = ((3, 32, 32), (1, 8, 8), (2, 15, 11))
    builds = 2

    def make_space(self):
        return MicroSpace(channels=3, layers=3)


class TestBoo(CostConformance):
    name = "boo"

    def make_cost(self):
        return Boo()


class TestBooOfIntegers(CostConformance):
    name = "boo"

    def make_cost(self):
        return Boo("int8", "sign_magnitude", per_channel=True, include_bias=True, include_bn=True)

    def make_space(self):
        return MicroSpace(channels=3, layers=3)
