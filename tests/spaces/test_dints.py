"""The grid of DiNTS: repair, networks of MONAI, and the way from the relaxed network back to a genotype."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nasplug.contract.errors import SpecError
from nasplug.spaces.dints import OPERATIONS, DiNTSSpace
from nasplug.testing import SpaceConformance
from nasplug.testing.synthetic import Shapes


class TestDiNTS(SpaceConformance):
    def make_space(self):
        return DiNTSSpace(2, blocks=2, depth=2, width=0.125)

    def make_task(self):
        return Shapes((1, 16, 16), 3, "map")


def genotype(space, *blocks):
    """Genes of blocks that are written as dictionaries from paths to operations."""
    found = []
    for paths in blocks:
        for path in space.paths:
            found += [path in paths, paths.get(path)]
    return tuple(found)


@pytest.fixture
def space():
    return DiNTSSpace(2, blocks=3, depth=3, width=0.125)


def test_paths_are_in_the_order_of_monai(space):
    grid = space._grid("TopologyInstance", arch_code=[np.ones((3, 7)), np.ones((3, 7))])
    assert list(space.paths) == list(zip(grid.arch_code2in, grid.arch_code2out, strict=True))
    assert grid.num_cell_ops == len(OPERATIONS[2])
    assert list(grid.cell_tree["(0, 0)"].OPS) == ["skip_connect", "conv_3x3"]
    volumes = DiNTSSpace(3, blocks=1, depth=2, width=0.125)
    cell = volumes._grid("TopologyInstance", arch_code=[np.ones((1, 4)), np.ones((1, 4))]).cell_tree["(0, 0)"]
    assert [name.replace("skip_connect", "skip") for name in cell.OPS] == list(OPERATIONS[3])


def test_paths_that_lead_from_nowhere_or_nowhere_are_left_out(space):
    chain = [{(0, 1): "skip"}, {(1, 2): "conv_3x3"}, {(2, 1): "skip"}]
    idle = [
        {(0, 1): "skip", (0, 0): "conv_3x3"},  # its end is the beginning of nothing
        {(1, 2): "conv_3x3", (2, 2): "skip"},  # nothing arrives where it begins
        {(2, 1): "skip", (0, 0): "skip"},
    ]
    plain, repaired = (space.architecture(genotype(space, *blocks)) for blocks in (chain, idle))
    assert plain.key == repaired.key
    assert plain.key != space.architecture(genotype(space, *chain[:2], {(2, 1): "conv_3x3"})).key


def test_a_block_without_paths_keeps_its_finest_map(space):
    architecture = space.architecture(genotype(space, {(0, 1): "conv_3x3"}, {}, {}))
    codes = space.operations(architecture.genotype)
    names = [{path: kind for path, kind in zip(space.paths, block, strict=True) if kind} for block in codes]
    assert names == [{(0, 1): "conv_3x3"}, {(1, 1): "skip"}, {(1, 1): "skip"}]
    assert space.label(architecture) == "0>1 conv_3x3 | 1>1 skip | 1>1 skip"


@pytest.mark.parametrize("size", [(16, 16), (13, 18), (8, 16, 12)])
def test_networks_answer_every_voxel(size, capsys):
    task = Shapes((2, *size), 3, "map" if len(size) == 2 else "volume")
    space = DiNTSSpace(len(size), blocks=2, depth=2, width=0.125)
    for seed in range(6):
        network = space.build(space.sample(np.random.default_rng(seed)), task)
        answer = network(torch.rand(2, 2, *size))
        assert answer.shape == (2, 3, *size)
        answer.sum().backward()
    assert capsys.readouterr().out == "", "MONAI's line about the patch is not the user's"


def test_what_a_relaxed_network_favours_is_derived(space):
    task = Shapes((1, 16, 16), 2, "map")
    network = space.relaxed(task)
    assert network(torch.rand(2, 1, 16, 16)).shape == (2, 2, 16, 16)
    grid = network.network.dints_space
    wanted = [{(0, 1)}, {(1, 1), (1, 2)}, {(1, 0), (2, 1)}]
    with torch.no_grad():
        for block, paths in enumerate(wanted):
            for path, ends in enumerate(space.paths):
                grid.log_alpha_a[block, path] = 9.0 if ends in paths else -9.0
                grid.log_alpha_c[block, path] = torch.tensor([-1.0, 1.0] if ends == (1, 2) else [1.0, -1.0])
    architecture = space.architecture(space.derived(network))
    codes = space.operations(architecture.genotype)
    assert [{path for path, kind in zip(space.paths, block, strict=True) if kind} for block in codes] == wanted
    assert codes[1][space.paths.index((1, 2))] == "conv_3x3"
    assert codes[1][space.paths.index((1, 1))] == "skip"


def test_patches_of_other_dimensions_are_refused(space):
    from nasplug.contract.io import Inputs

    with pytest.raises(SpecError, match="2 dimensions, and the patches 3"):
        space.check_inputs(Inputs.of((1, 16, 16, 16)))


@pytest.mark.parametrize("options", [{"dimensions": 4}, {"blocks": 0}, {"depth": 5}, {"width": 0.0}])
def test_arguments_out_of_range(options):
    with pytest.raises(SpecError, match="2 or 3 dimensions"):
        DiNTSSpace(**options)
