"""Tests of `nasplug_darts_lp.spaces.cell.space`."""

from __future__ import annotations

import numpy as np
from nasplug_darts_lp.spaces.cell.space import CellSpace
from nasplug_darts_lp.spaces.layers.space import LayersSpace

FLOAT_LAYERS = {"width": 0.25, "blocks": 2, "weight_bits": (), "activation_bits": ()}
LOW_LAYERS = {"width": 0.25, "blocks": 1, "weight_bits": (1, 4), "activation_bits": (2, 8)}


SPACES = {
    "layers": lambda: LayersSpace(**FLOAT_LAYERS),
    "layers_bits": lambda: LayersSpace(**LOW_LAYERS),
    "cell": lambda: CellSpace(channels=4, layers=3, nodes=3),
    "cell_bits": lambda: CellSpace(channels=4, layers=3, nodes=2, weight_bits=(1, 4), activation_bits=(2, 8)),
}


def samples(space, count=4):
    return [space.sample(np.random.default_rng(seed)) for seed in range(count)]


def test_cells_in_both_notations():
    space = SPACES["cell_bits"]()
    for architecture in samples(space):
        cells = {name: space.settings.cell(architecture.genotype, name) for name in ("normal", "reduction")}
        assert space.architecture(space.settings.genotype(cells)) == architecture
