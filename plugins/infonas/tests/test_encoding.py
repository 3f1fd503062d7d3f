"""Graphs become padded arrays and come back unchanged."""

from __future__ import annotations

import numpy as np
import pytest
from nasplug_infonas.encoding import PUBLISHED, EncodedGraphs, Encoding, representatives
from nasplug_tables.spaces.nasbench101 import NASBench101
from nasplug_tables.spaces.nasbench201 import NASBench201

import nasplug as nas
from nasplug.contract.errors import SpaceError
from nasplug.spaces.graph import Graph
from nasplug.testing import SyntheticSpace


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("space", [NASBench101(), NASBench201(), SyntheticSpace()], ids=lambda space: space.name)
def test_graphs_survive_the_way_through_arrays(space, rng):
    encoding = Encoding.of_space(space)
    graphs = [space.graph(space.sample(rng)) for _ in range(200)]
    encoded = encoding.encode(graphs)
    assert encoded.operations.shape == (200, encoding.nodes)
    assert encoded.operations.dtype == np.int8
    assert not np.tril(encoded.adjacency).any()
    assert encoded.real.sum(axis=1).tolist() == [len(graph.labels) for graph in graphs]
    again = list(encoding.decode(encoded))
    assert [graph.labels for graph in again] == [graph.labels for graph in graphs]
    assert [set(graph.edges) for graph in again] == [set(graph.edges) for graph in graphs]


def test_a_cell_of_nasbench101_by_hand():
    graph = Graph(("input", "conv3x3-bn-relu", "output"), ((0, 1), (0, 2), (1, 2)))
    encoded = PUBLISHED["nasbench101"].encode([graph])
    assert encoded.operations.tolist() == [[0, 2, 4, -1, -1, -1, -1]]
    assert np.argwhere(encoded.adjacency[0]).tolist() == [[0, 1], [0, 2], [1, 2]]


def test_nasbench201_always_has_eight_rows(rng):
    space = NASBench201()
    encoded = Encoding.of_space(space).encode_space(space, [space.sample(rng) for _ in range(50)])
    assert encoded.real.all()
    assert encoded.operations.shape == (50, 8)
    assert len(np.unique(encoded.adjacency, axis=0)) == 1  # operations sit on nodes, so all cells share their edges


def test_an_encoding_is_found_from_graphs():
    found = Encoding.of_space(SyntheticSpace(length=4))
    assert found == Encoding(("input", "middle", "narrow", "skip", "wide", "output"), 6)
    assert Encoding.from_json(found.to_json()) == found


def test_every_option_of_a_large_space_is_seen():
    space = SyntheticSpace(length=12)  # 16.8 million genotypes
    assert space.size() > 3
    seen = {label for item in representatives(space, 3) for label in space.graph(item).labels}
    assert seen == {"input", "skip", "narrow", "middle", "wide", "output"}


def test_representatives_are_the_same_every_time():
    space = SyntheticSpace()
    assert representatives(space, 20) == representatives(space, 20)
    assert len({item.key for item in representatives(space, 20)}) == len(representatives(space, 20))


def test_graphs_that_do_not_fit_are_refused():
    encoding = Encoding(("input", "conv", "output"), 3)
    with pytest.raises(SpaceError, match="4 nodes"):
        encoding.encode([Graph.chain(("conv", "conv"))])
    with pytest.raises(SpaceError, match=r"no operation 'cony'[\s\S]*did you mean 'conv'"):
        encoding.encode([Graph.chain(("cony",))])


def test_nonsense_is_refused():
    with pytest.raises(SpaceError, match="distinct"):
        Encoding(("input", "input"), 2)
    with pytest.raises(SpaceError, match="no graphs"):
        Encoding.of_graphs([])
    with pytest.raises(SpaceError, match="have no graphs"):
        Encoding(("input",), 1).encode_space(object(), [])


def test_no_graphs_are_no_rows():
    encoded = Encoding(("input", "output"), 2).encode([])
    assert isinstance(encoded, EncodedGraphs)
    assert len(encoded) == 0


def test_representatives_span_ranges_and_conditions():
    class Mixed(nas.ChoiceSpace):
        def build(self, architecture, task):
            raise NotImplementedError

    space = Mixed(
        "mixed",
        [
            nas.Choice("op", ("conv", "pool")),
            nas.Choice("kernel", (3, 5, 7), when={"op": "conv"}),
            nas.Choice("drop", {"low": 0.0, "high": 0.5}),
        ],
    )
    found = representatives(space, 40)
    assert {each.genotype[1] for each in found} == {None, 3, 5, 7}
    assert {0.0, 0.25, 0.5} <= {each.genotype[2] for each in found}
