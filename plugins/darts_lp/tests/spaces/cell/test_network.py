"""Tests of `nasplug_darts_lp.spaces.cell.network`."""

from __future__ import annotations

import numpy as np
import torch
from nasplug_darts_lp.spaces.cell.edges import Edge
from nasplug_darts_lp.spaces.cell.network import Cell, CellNetwork
from nasplug_darts_lp.spaces.cell.settings import CellSettings
from nasplug_darts_lp.spaces.cell.space import CellSpace


def test_nodes_add_up_their_two_edges_and_are_concatenated():
    settings = CellSettings(channels=3, layers=3, nodes=2)
    pairs = [(Edge(0, "skip_connect"), Edge(1, "skip_connect")), (Edge(1, "skip_connect"), Edge(2, "skip_connect"))]
    cell = Cell(pairs, settings.frames()[0], settings.fixed).eval()
    before_last, last = torch.randn(2, 9, 4, 4), torch.randn(2, 9, 4, 4)
    a, b = cell.prepare[0](before_last), cell.prepare[1](last)
    assert torch.allclose(cell(before_last, last), torch.cat([a + b, b + (a + b)], dim=1), atol=1e-6)


def test_a_network_is_made_of_settings_and_genotype_alone():
    space = CellSpace(channels=4, layers=4, nodes=2, weight_bits=(2,), activation_bits=(2,))
    genotype = space.sample(np.random.default_rng(0)).genotype
    network = CellNetwork(space.settings, genotype, (3, 16, 16), 5)
    assert network(torch.randn(2, 3, 16, 16)).shape == (2, 5)
    assert len(network.cells) == 4
    assert network.classifier.in_features == 4 * 4 * 2  # doubled twice, two nodes
    assert network.classifier.weight_bits == 8
