"""Tests of `nasplug_darts_lp.spaces.cell.supernet`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nasplug_darts_lp.spaces.cell.space import CellSpace
from nasplug_darts_lp.supernet.options import SupernetOptions
from nasplug_darts_lp.supernet.settings import SupernetSettings

from nasplug.contract.errors import SpecError
from nasplug.testing import Shapes

SHAPE = (3, 16, 16)
TASK = Shapes(SHAPE, 5)


def samples(space, count=4):
    return [space.sample(np.random.default_rng(seed)) for seed in range(count)]


def test_the_path_of_a_cell_network_is_that_network():
    space = CellSpace(channels=4, layers=3, nodes=3)
    torch.manual_seed(0)
    supernet = space.supernet(SHAPE, 5, SupernetOptions()).eval()
    x = torch.randn(2, *SHAPE)
    for architecture in samples(space, 6):
        network = space.build(architecture, TASK).eval()
        outside = {name: module for name, module in network.named_children() if name != "cells"}
        for name, module in outside.items():
            module.load_state_dict(supernet.get_submodule(name).state_dict())
        for cell, mixed_cell in zip(network.cells, supernet.cells, strict=True):
            cell.prepare.load_state_dict(mixed_cell.prepare.state_dict())
            edges = [e for pair in space.settings.cell(architecture.genotype, mixed_cell.name) for e in pair]
            for edge, (name, module) in zip(edges, cell.edges.items(), strict=True):
                take_over(module, edge.operation, mixed_cell.edges[name])
        assert torch.allclose(network(x), supernet.run(x, supernet.weights_of(architecture)), atol=1e-5)


def take_over(module, operation, mixed_op):
    """Copies the weights of one candidate out of an open edge; structures must agree for it to work."""
    names = ("max", "avg", "skip", "sep", "dil")
    branch = mixed_op.branches[names.index(operation.split("_")[0])]
    if "conv" not in operation:
        module.load_state_dict({**module.state_dict(), **branch[0].state_dict()})
        return
    assert len(module) == len(branch)
    kernel = int(operation[-1])
    cut = (5 - kernel) // 2
    with torch.no_grad():
        for one, shared in zip(module, branch, strict=True):
            assert one.depthwise.weight.shape[-1] == kernel
            one.depthwise.weight.copy_(shared.depthwise.weight[:, :, cut : cut + kernel, cut : cut + kernel])
            one.pointwise.weight.copy_(shared.pointwise.weight)


def test_partial_channels():
    space = CellSpace(channels=8, layers=3, nodes=2)
    torch.manual_seed(0)
    full = space.supernet(SHAPE, 5, SupernetOptions())
    part = space.supernet(SHAPE, 5, SupernetOptions(settings=SupernetSettings(partial=4)))
    assert part(torch.randn(2, *SHAPE)).shape == (2, 5)
    assert part.mixing_weights["normal_3_edges"].tolist() == pytest.approx([1 / 3] * 3, abs=0.01)
    assert sum(p.numel() for p in part.network_parameters()) < 0.6 * sum(p.numel() for p in full.network_parameters())
    assert not hasattr(full.logits, "normal_3_edges")
    with pytest.raises(SpecError, match="divisor"):
        space.supernet(SHAPE, 5, SupernetOptions(settings=SupernetSettings(partial=3)))
