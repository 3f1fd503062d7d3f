"""Strategy and spaces keep to everything that nasplug asks of its plugins."""

from __future__ import annotations

import pytest
from nasplug_darts_lp.example import small_network, small_task
from nasplug_darts_lp.sensitivity.strategy import Sensitivity
from nasplug_darts_lp.spaces.bits.space import BitsSpace
from nasplug_darts_lp.spaces.cell.space import CellSpace
from nasplug_darts_lp.spaces.layers.space import LayersSpace
from nasplug_darts_lp.supernet.settings import CostSettings, LogitsSettings
from nasplug_darts_lp.supernet.strategy import DifferentiableSearch

import nasplug as nas
from nasplug.testing import SpaceConformance, StrategyConformance

IMAGES = ((3, 16, 16), (1, 9, 9))


class TestLayers(SpaceConformance):
    input_shapes = IMAGES

    def make_space(self):
        return LayersSpace(width=0.25, blocks=1)


class TestLayersInFloatingPoint(SpaceConformance):
    input_shapes = ((3, 33, 33),)

    def make_space(self):
        return LayersSpace("imagenet", 0.0625, 1, weight_bits=(), activation_bits=())


class TestCell(SpaceConformance):
    input_shapes = IMAGES

    def make_space(self):
        return CellSpace(channels=2, layers=3)


class TestCellWithBits(SpaceConformance):
    input_shapes = IMAGES
    builds = 2

    def make_space(self):
        return CellSpace(channels=2, layers=3, nodes=2, weight_bits=(1, 4), activation_bits=(2, 8))


class TestBits(SpaceConformance):
    input_shapes = ((1, 8, 8),)

    def make_space(self):
        return BitsSpace(small_network, "random", (1, 8, 8), weight_bits=(1, 4), activation_bits=(2, 8))


@pytest.mark.slow  # measures a network in every one of its searches
class TestSensitivity(StrategyConformance):
    trials = 5

    def make_space(self):
        return BitsSpace(small_network, "random", (1, 8, 8))

    def make_strategy(self):
        return Sensitivity(keep={"bit_operations": 0.5}, epochs=1, batches=2, derive=4)

    def make_task(self):
        return small_task()


class TestSearch(StrategyConformance):
    trials = 12

    def make_space(self):
        return LayersSpace(
            width=0.125, blocks=1, kernels=(1, 3), weight_bits=(1, 4), activation_bits=(2, 8), first_last_bits=None
        )

    def make_strategy(self):
        return DifferentiableSearch(
            rounds=3, epochs=1, derive=4, cost=CostSettings(weight=0.1), logits=LogitsSettings(warmup=0.0)
        )

    def make_task(self):
        # The supernet trains on its images; the trials are judged by the suite's evaluator.
        return nas.ImageClassification(limit=30, batch_size=16)
