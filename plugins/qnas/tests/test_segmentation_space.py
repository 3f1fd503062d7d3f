from __future__ import annotations

import numpy as np
import pytest
import torch
from nasplug_qnas.segmentation.network import SegNetwork
from nasplug_qnas.segmentation.space import SegmentationSpace
from nasplug_qnas.segmentation.topology import Gene

from nasplug.contract.errors import SpecError
from nasplug.contract.io import Inputs
from nasplug.testing import SpaceConformance


class TestJoint(SpaceConformance):
    input_shapes = ((1, 32, 32), (3, 20, 24))
    outputs = 3

    def make_space(self):
        return SegmentationSpace(nodes=6, stem=4)


class TestBlocks(SpaceConformance):
    input_shapes = ((2, 32, 32),)
    outputs = 2

    def make_space(self):
        return SegmentationSpace("blocks", nodes=5, kernels=[3], stem=4)


class TestTopology(SpaceConformance):
    input_shapes = ((1, 32, 32),)
    outputs = 2

    def make_space(self):
        return SegmentationSpace("topology", nodes=7, stem=4)


def test_sizes_of_the_published_searches():
    assert SegmentationSpace("topology").size() == 3**10
    assert SegmentationSpace("blocks").size() == 13**10
    assert SegmentationSpace("joint").size() == 39**10


def test_functions_are_in_natural_order():
    options = SegmentationSpace("joint", kernels=[3, 11]).choices[0].options
    assert options[:4] == ("den_d_3", "den_d_11", "den_n_3", "den_n_11")
    assert SegmentationSpace("topology").choices[0].options == ("d", "n", "u")
    assert [choice.name for choice in SegmentationSpace(nodes=11).choices][9:] == ["node09", "node10"]


def test_genotypes_of_one_network_have_one_key():
    space = SegmentationSpace("topology", nodes=4)
    keys = {cells: space.architecture(list(cells)).key for cells in ("uduu", "ndun", "nnnn", "dddd", "dduu")}
    assert keys["uduu"] != keys["nnnn"]
    assert keys["dddd"] == keys["dduu"]
    assert keys["uduu"] == space.architecture(list("nduu")).key
    joint = SegmentationSpace("joint", nodes=2)
    assert joint.architecture(["ide_n", "vgg_n_3"]).key == joint.architecture(["vgg_n_3", "ide_n"]).key


def test_equal_keys_compute_the_same():
    space = SegmentationSpace("joint", nodes=4, kernels=[3], stem=2)
    rng = np.random.default_rng(0)
    by_key = {}
    pairs = 0
    for _ in range(400):
        architecture = space.sample(rng)
        other = by_key.setdefault(architecture.key, architecture)
        if other.genotype != architecture.genotype and pairs < 12:
            pairs += 1
            answers = []
            for each in (other, architecture):
                torch.manual_seed(0)
                network = SegNetwork(space.genes(each), 1, 2, stem=2).eval()
                answers.append(network(torch.linspace(-1, 1, 256).view(1, 1, 16, 16)))
            assert torch.equal(*answers)
    assert pairs == 12


@pytest.mark.parametrize("size", [(16, 16, 16), (10, 13, 9)])
def test_volumes_of_any_size(size):
    chain = [Gene.parse(name) for name in ("vgg_d_3", "inc_d_3", "den_u_3", "res_u_3")]
    network = SegNetwork(chain, 2, 3, dimensions=3, stem=4)
    assert network(torch.zeros(2, 2, *size)).shape == (2, 3, *size)
    assert sum(isinstance(module, torch.nn.Conv2d) for module in network.modules()) == 0


def test_padding_does_not_reach_an_input_that_needs_none():
    chain = [Gene.parse(name) for name in ("vgg_d_3", "vgg_u_3")]
    torch.manual_seed(0)
    network = SegNetwork(chain, 1, 2).eval()
    x = torch.randn(1, 1, 8, 8)
    alone = network.classifier(network.cells[1](network.cells[0](network.stem(x), None), None))
    torch.testing.assert_close(network(x), alone)


def test_the_average_of_neighbours_is_that_of_tensorflow():
    from nasplug_qnas.segmentation.network import _Inception, _Layers

    block = _Inception(_Layers(2), 1, 1, 3)
    seen = []
    block.pooled.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    block(torch.tensor([[[[1.0, 3.0], [5.0, 11.0]]], [[[0.0, 0.0], [0.0, 0.0]]]]))
    # SAME padding with windows of 2: at the far edges only what is inside is averaged
    assert seen[0][0, 0].tolist() == [[5.0, 7.0], [8.0, 11.0]]


def test_the_graph_shows_skips():
    space = SegmentationSpace("topology", nodes=4)
    graph = space.graph(space.architecture(list("ndun")))
    assert graph.labels == ("input", "stem", "vgg_n_3", "vgg_d_3", "vgg_u_3", "vgg_n_3", "output")
    assert (2, 5) in graph.edges
    assert len(graph.edges) == 7


def test_inputs():
    space = SegmentationSpace()
    space.check_inputs(Inputs.of((1, 32, 32)))
    space.check_inputs(Inputs.of((1, 32, 32, 32)))
    with pytest.raises(SpecError, match="expected one slice"):
        space.check_inputs(Inputs.of((32, 32)))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"search": "cells"}, "no search 'cells'"),
        ({"kernels": [3, 4]}, "odd numbers"),
        ({"kernels": []}, "odd numbers"),
        ({"nodes": 0}, "nodes=0"),
        ({"stem": 0}, "stem=0"),
        ({"cells": "dduu"}, "cells are given"),
        ({"search": "blocks", "cells": "dduu"}, "10 letters"),
        ({"search": "blocks", "cells": "ddxuuuuuuu"}, "letters of d, n and u"),
    ],
)
def test_bad_arguments(arguments, match):
    with pytest.raises(SpecError, match=match):
        SegmentationSpace(**arguments)
