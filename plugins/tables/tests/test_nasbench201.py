"""The space of NAS-Bench-201: notation, graphs and parameters."""

from __future__ import annotations

import numpy as np
import pytest
from nasplug_tables.spaces.nasbench201 import NASBench201
from nasplug_tables.spaces.nasbench201.space import parameters

from nasplug.contract.errors import SpaceError
from nasplug.spaces.graph import Graph
from nasplug.testing import SpaceConformance

RESNET = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"


class TestConformance(SpaceConformance):
    input_shapes = ((3, 16, 16), (1, 12, 12))

    def make_space(self):
        return NASBench201(channels=4, cells=1)


def test_notation_goes_both_ways():
    space = NASBench201()
    architecture = space.parse(RESNET)
    assert architecture.genotype == (
        "nor_conv_3x3",
        "nor_conv_3x3",
        "avg_pool_3x3",
        "skip_connect",
        "nor_conv_3x3",
        "skip_connect",
    )
    assert space.text(architecture) == RESNET
    for wrong in ("", "|nor_conv_3x3~0|", RESNET.replace("skip_connect~2", "skip~2"), RESNET.replace("~2", "~9")):
        with pytest.raises(SpaceError):
            space.parse(wrong)


def test_published_parameters():
    space = NASBench201()
    all_conv = space.architecture(("nor_conv_3x3",) * 6)
    assert parameters(all_conv) == 1_531_546
    assert parameters(space.architecture(("none",) * 6)) == 73_306
    assert parameters(space.architecture(("none",) * 6), outputs=100) == 79_156


def test_graph_has_the_operations_on_its_nodes():
    space = NASBench201()
    names = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "none")
    graph = space.graph(space.architecture(names))
    assert graph.labels == ("input", *names, "output")
    assert graph.edges == ((0, 1), (0, 2), (1, 3), (0, 4), (4, 7), (1, 5), (5, 7), (2, 6), (3, 6), (6, 7))
    smaller = graph.without({"none"})
    assert smaller.labels == ("input", "nor_conv_3x3", "output")
    assert smaller.edges == ((0, 1), (1, 2))
    assert space.graph(space.architecture(("none",) * 6)).without({"none"}).edges == ()


def test_graphs_are_read_back():
    space = NASBench201()
    graph = space.graph(space.architecture(("nor_conv_3x3",) * 6))
    assert space.from_graph(graph).genotype == ("nor_conv_3x3",) * 6
    for wrong in (
        Graph(graph.labels, graph.edges[1:]),
        Graph((*graph.labels[:-1], "nor_conv_3x3"), graph.edges),
        Graph((*graph.labels[:1], "nor_conv_5x5", *graph.labels[2:]), graph.edges),
        Graph((), ()),
    ):
        with pytest.raises(SpaceError):
            space.from_graph(wrong)


def test_codes_follow_the_digits():
    space = NASBench201()
    digits = np.array(["303101", "000000", "444444"])
    codes = space.codes({"ops": digits})
    assert codes.tolist() == [int(text, 5) for text in digits]
    assert [space.code(space.from_code(int(code))) for code in codes] == codes.tolist()
    for wrong in (["30310"], ["303105"]):
        with pytest.raises(SpaceError):
            space.codes({"ops": np.array(wrong)})
