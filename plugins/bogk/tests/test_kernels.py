"""Kernels: what makes them kernels, and what each of them counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nasplug_bogk.kernels import (
    EMBEDDINGS,
    EmbeddingKernel,
    GraphConvolution,
    InfiniteGraphConvolution,
    Part,
    RandomWalk,
    ShortestPath,
    WeisfeilerLehman,
    make_kernel,
)
from nasplug_bogk.kernels.neighbours import contract, simplify

from nasplug.contract.errors import SpecError, UnknownNameError
from nasplug.spaces.graph import Graph

LABELS = ("conv", "pool", "skip")


@st.composite
def graphs(draw, most=6):
    """A connected labelled graph: every node has a predecessor, every node but the last a successor."""
    inner = draw(st.integers(0, most))
    labels = ("input", *[draw(st.sampled_from(LABELS)) for _ in range(inner)], "output")
    last = inner + 1
    edges = set()
    for node in range(1, last + 1):
        edges.add((draw(st.integers(0, node - 1)), node))
    for node in range(last):
        if all(source != node for source, _ in edges):
            edges.add((node, draw(st.integers(node + 1, last))))
    return Graph(labels, tuple(sorted(edges)))


def renumbered(graph: Graph, seed: int) -> Graph:
    """The same graph in another topological order."""
    rng = np.random.default_rng(seed)
    count = len(graph.labels)
    waiting = {node: set(graph.predecessors(node)) for node in range(count)}
    order: list[int] = []
    while waiting:
        ready = [
            node
            for node, before in waiting.items()
            if before <= set(order) and (node != count - 1 or len(waiting) == 1)
        ]
        order.append(ready[int(rng.integers(len(ready)))])
        del waiting[order[-1]]
    number = {node: position for position, node in enumerate(order)}
    return Graph(
        tuple(graph.labels[node] for node in order), tuple(sorted((number[a], number[b]) for a, b in graph.edges))
    )


KERNELS = {
    **{name: make_kernel(name) for name in EMBEDDINGS},
    "cosine": make_kernel("wl", "linear"),
    "rbf": make_kernel("gcn_infinite", "rbf"),
    "assignment": EmbeddingKernel((Part(WeisfeilerLehman([2], optimal_assignment=True)),), "linear"),
    "sum": make_kernel("gcn+rw+sp"),
}
named = pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
DIAMOND = Graph(("input", "conv", "pool", "output"), ((0, 1), (0, 2), (1, 3), (2, 3)))
CHAIN = Graph.chain(("conv", "pool"))


@named
@settings(max_examples=25, deadline=None)
@given(st.lists(graphs(), min_size=1, max_size=12))
def test_gram_matrices_are_symmetric_and_positive_semi_definite(kernel, some):
    gram = kernel.gram([*some, some[0]])  # a graph twice makes the matrix singular
    assert (gram == gram.T).all()
    assert np.linalg.eigvalsh(gram).min() > -1e-8


@named
@settings(max_examples=25, deadline=None)
@given(graphs(), graphs())
def test_a_graph_is_similar_to_itself_most(kernel, a, b):
    gram = kernel.gram([a, b])
    np.testing.assert_allclose(np.diag(gram), 1.0, atol=1e-12)
    assert -1e-12 <= gram[0, 1] <= 1.0 + 1e-12
    np.testing.assert_allclose(kernel.gram([a], [a, b])[0], gram[0], atol=1e-6)


@named
@settings(max_examples=25, deadline=None)
@given(graphs(), graphs(), st.integers(0, 1000))
def test_the_numbering_of_nodes_does_not_matter(kernel, a, b, seed):
    again = renumbered(a, seed)
    np.testing.assert_allclose(kernel.gram([again], [b]), kernel.gram([a], [b]), atol=1e-6)
    np.testing.assert_allclose(kernel.gram([again], [a]), 1.0, atol=1e-6)


@named
def test_two_lists_give_the_block_of_the_whole(kernel):
    some = [CHAIN, DIAMOND, Graph.chain(("pool",)), Graph.chain(())]
    np.testing.assert_allclose(kernel.gram(some[:1], some[1:]), kernel.gram(some)[:1, 1:], atol=1e-9)
    assert kernel.gram(some, []).shape == (4, 0)
    assert kernel.gram([], some).shape == (0, 4)


@named
def test_directions_are_kept_apart(kernel):
    forward, backward = Graph.chain(("conv", "pool")), Graph.chain(("pool", "conv"))
    assert kernel.gram([forward], [backward])[0, 0] < 0.999


def test_weisfeiler_lehman_counts_labels_of_every_round():
    embedding = WeisfeilerLehman([1])
    counts = embedding.substructures(DIAMOND)
    assert sorted(counts[0].values()) == [1, 1, 1, 1]
    means = {embedding.meaning(label) for label in counts[1]}
    conv, pool, start, end = (
        embedding.substructures(Graph((name,), ()))[0] for name in ("conv", "pool", "input", "output")
    )
    one = [next(iter(each)) for each in (conv, pool, start, end)]
    assert means == {
        (one[0], (one[2],), (one[3],)),
        (one[1], (one[2],), (one[3],)),
        (one[2], (), tuple(sorted(one[:2]))),
        (one[3], tuple(sorted(one[:2])), ()),
    }


def test_more_rounds_tell_apart_what_fewer_do_not():
    a = Graph.chain(("conv", "conv", "pool", "conv"))
    b = Graph.chain(("conv", "pool", "conv", "conv"))
    embedding = WeisfeilerLehman([0, 1, 2])
    inner = embedding.inner([a], [b], [0, 1, 2])[:, 0, 0]
    norms = embedding.squared_norms([a, b], [0, 1, 2])
    assert inner[0] == norms[0, 0] == norms[0, 1]
    assert inner[2] < min(norms[2])


def test_optimal_assignment_is_the_intersection_of_histograms():
    a, b = Graph.chain(("conv", "conv", "conv")), Graph.chain(("conv", "conv", "pool"))
    plain, matched = WeisfeilerLehman([0]), WeisfeilerLehman([0], optimal_assignment=True)
    assert plain.inner([a], [b], [0])[0, 0, 0] == 3 * 2 + 1 + 1
    assert matched.inner([a], [b], [0])[0, 0, 0] == 2 + 1 + 1


def test_shortest_paths_are_counted_by_ends_and_length():
    counts = ShortestPath(longest=4).substructures(DIAMOND)
    assert counts[1] == {("input", "conv"): 1, ("input", "pool"): 1, ("conv", "output"): 1, ("pool", "output"): 1}
    assert counts[2] == {("input", "output"): 1}
    assert not counts[3]
    bypass = Graph(CHAIN.labels, (*CHAIN.edges, (0, 3)))
    assert ShortestPath().substructures(bypass)[1]["input", "output"] == 1


@settings(max_examples=25, deadline=None)
@given(graphs(), graphs())
def test_random_walks_are_the_geometric_kernel_on_the_product_graph(a, b):
    decay = 0.3
    pairs = [(u, v) for u in range(len(a.labels)) for v in range(len(b.labels)) if a.labels[u] == b.labels[v]]
    product = np.array([[((u, x) in a.edges) and ((v, y) in b.edges) for x, y in pairs] for u, v in pairs], dtype=float)
    expected = np.linalg.inv(np.eye(len(pairs)) - decay * product).sum()
    found = RandomWalk([decay], longest=8).inner([a], [b], [0])[0, 0, 0]
    np.testing.assert_allclose(found, expected)


def test_walks_are_counted_by_length_and_by_what_lies_on_them():
    counts = RandomWalk([0.3], longest=3).substructures(DIAMOND)
    assert [sum(each.values()) for each in counts] == [4, 4, 2, 0]
    twins = Graph(("input", "conv", "conv", "output"), DIAMOND.edges)
    assert [dict(each) for each in RandomWalk([0.3], longest=2).substructures(twins)] == [
        {("input",): 1, ("conv",): 2, ("output",): 1},
        {("input", "conv"): 2, ("conv", "output"): 2},
        {("input", "conv", "output"): 2},
    ]


def test_wide_networks_approach_the_infinite_one():
    some = [CHAIN, DIAMOND, Graph.chain(("conv", "conv", "pool")), Graph.chain(())]
    limit = InfiniteGraphConvolution([1, 2, 3]).inner(some, some, [0, 1, 2])
    narrow, wide = (
        np.abs(GraphConvolution([1, 2, 3], width, initialisations=16).inner(some, some, [0, 1, 2]) / limit - 1).max()
        for width in (8, 1024)
    )
    assert wide < 0.04
    assert wide < narrow / 2


def test_the_infinite_network_has_two_to_four_layers_unless_told_otherwise():
    assert InfiniteGraphConvolution().variants == (2, 3, 4)
    assert InfiniteGraphConvolution([1, 5]).variants == (1, 5)


def test_the_infinite_network_by_hand():
    single = Graph(("input", "output"), ((0, 1),))
    # Every average is (own + other) / 2 for the one node that has a neighbour in that direction, own for the other.
    cosine = np.sqrt(0.5)
    kappa = np.sqrt(0.5) * (np.sin(np.arccos(cosine)) + (np.pi - np.arccos(cosine)) * cosine) / np.pi
    states = np.array([[(1.0 + 0.5) / 2, kappa], [kappa, (0.5 + 1.0) / 2]])
    found = InfiniteGraphConvolution([1]).inner([single], [single], [0])[0, 0, 0]
    np.testing.assert_allclose(found, states.mean())


def test_features_do_not_depend_on_what_was_asked_before():
    some = [CHAIN, DIAMOND, Graph.chain(("conv", "conv", "pool"))]
    for name in EMBEDDINGS:
        alone, together = make_kernel(name), make_kernel(name)
        together.gram(some)
        assert (alone.gram(some[1:2], some[2:]) == together.gram(some[1:2], some[2:])).all(), name


def test_many_graphs_are_worked_on_in_blocks():
    rng = np.random.default_rng(0)
    some = [Graph.chain(tuple(rng.choice(["conv", "pool", "skip"], 5))) for _ in range(80)]
    embedding = InfiniteGraphConvolution([2])
    whole = embedding.inner(some, some, [0])[0]
    np.testing.assert_allclose(whole[3, 77], embedding.inner(some[3:4], some[77:78], [0])[0, 0, 0])
    np.testing.assert_allclose(np.diag(whole), embedding.squared_norms(some, [0])[0])


def test_single_precision_is_enough_for_candidates():
    rng = np.random.default_rng(0)
    some = [Graph.chain(tuple(rng.choice(["conv", "pool", "skip"], 5))) for _ in range(80)]
    embedding = InfiniteGraphConvolution()
    exact, rough = (ask(some, some[:30], [0, 1, 2]) for ask in (embedding.inner, embedding.roughly))
    assert rough.dtype == np.float64
    assert 1e-12 < np.abs(rough - exact).max() < 1e-6  # it was single precision, and no more was lost
    finite = GraphConvolution([2])
    assert (finite.roughly(some, some[:3], [0]) == finite.inner(some, some[:3], [0])).all()


def test_contracting_joins_the_neighbours():
    graph = Graph(("input", "skip", "conv", "skip", "output"), ((0, 1), (1, 2), (1, 3), (2, 4), (3, 4)))
    assert contract(graph, ["skip"]) == Graph(("input", "conv", "output"), ((0, 1), (0, 2), (1, 2)))
    assert contract(graph, ["pool"]) is graph


def test_dropping_cuts_paths():
    graph = Graph(("input", "none", "conv", "pool", "output"), ((0, 1), (1, 2), (0, 3), (2, 4), (3, 4)))
    assert simplify(graph, ["none"], []) == Graph.chain(("pool",))
    assert simplify(Graph.chain(("none",)), ["none"], []).labels == ("input", "output")
    bypassed = Graph(("input", "none", "output"), ((0, 1), (1, 2), (0, 2)))
    assert simplify(bypassed, ["none"], []) == Graph(("input", "output"), ((0, 1),))


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (("wll",), UnknownNameError, "wl"),
        (("wl+wl",), SpecError, "twice"),
        (("wl", "round"), SpecError, "shape"),
        (("wl", "rbf", {"gcn": {}}), UnknownNameError, "not used"),
        (("wl", "rbf", {"wl": {"depth": 3}}), SpecError, "does not take"),
        (("gcn", "rbf", {"gcn": {"width": 3}}), SpecError, "even width"),
        (("gcn_infinite", "rbf", {"gcn_infinite": {"layers": []}}), SpecError, "no network"),
    ],
)
def test_bad_kernels_are_refused(arguments, error, text):
    with pytest.raises(error, match=text):
        make_kernel(*arguments)
