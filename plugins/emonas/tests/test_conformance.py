"""The parts keep to everything that nasplug asks of its plugins."""

from __future__ import annotations

from nasplug_emonas.strategy import EMONAS

from nasplug.testing import StrategyConformance


class TestGenerations(StrategyConformance):
    def make_strategy(self):
        return EMONAS(population=6, offspring=6)


class TestGenotypesAreDistinct(StrategyConformance):
    def make_strategy(self):
        return EMONAS("nsganet_micro", population=8, offspring=4)


class TestSteadyState(StrategyConformance):
    def make_strategy(self):
        return EMONAS(population=8, offspring=1)
