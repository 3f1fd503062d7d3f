"""The space of NAS-Bench-101: facts of the benchmark, and the capabilities."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nasplug_tables.spaces.nasbench101 import NASBench101
from nasplug_tables.spaces.nasbench101.cells import (
    BACKWARD,
    Cell,
    canonical,
    edge_bit,
    is_valid,
    module_hash,
    parameters,
    prune,
    relabellings,
)
from nasplug_tables.spaces.nasbench101.enumeration import all_cells, cell_of, code_of, codes_of, labelling_of
from nasplug_tables.spaces.nasbench101.repair import embed, repair

from nasplug.contract.errors import SpaceError
from nasplug.spaces.graph import Graph
from nasplug.testing import SpaceConformance

#: The best cell of the benchmark: mean test accuracy 94.32 %, 32,426,634 parameters.
INPUT_TO_OUTPUT = Cell(1, ())


class TestConformance(SpaceConformance):
    input_shapes = ((3, 16, 16), (1, 12, 12))
    one_decision = False

    def make_space(self):
        return NASBench101(channels=8, stacks=2, cells=1)


class TestAdjacencySampler(SpaceConformance):
    input_shapes = ((3, 16, 16),)
    builds = 1
    one_decision = False

    def make_space(self):
        return NASBench101(sampler="adjacency", channels=8, stacks=2, cells=1)


def cells(seed: int, count: int = 50) -> list[Cell]:
    """Random seven-vertex cells, valid or not."""
    rng = np.random.default_rng(seed)
    return [
        Cell(int(rng.integers(1 << 21)), tuple(int(digit) for digit in rng.integers(3, size=5))) for _ in range(count)
    ]


def shuffled(cell: Cell, rng: np.random.Generator) -> Cell:
    """The same cell with its inner vertices in another topological order."""
    found = relabellings(cell.vertices)
    first, second, third = found.tables
    bits = first[cell.bits & 127] | second[cell.bits >> 7 & 127] | third[cell.bits >> 14]
    order = int(rng.choice(np.flatnonzero(bits < BACKWARD)))
    return Cell(int(bits[order]), tuple(cell.operations[vertex] for vertex in found.inverse[order]))


def hash_of_the_paper(cell: Cell) -> str:
    """The benchmark's hash, step by step from its description: degrees and labels first, then one round per vertex."""
    matrix = cell.matrix()
    labels = [-1, *cell.operations, -2]
    digest = [
        hashlib.md5(str((int(matrix[v].sum()), int(matrix[:, v].sum()), labels[v])).encode()).hexdigest()
        for v in range(cell.vertices)
    ]
    for _ in range(cell.vertices):
        following = []
        for v in range(cell.vertices):
            into = sorted(digest[w] for w in range(cell.vertices) if matrix[w, v])
            out = sorted(digest[w] for w in range(cell.vertices) if matrix[v, w])
            text = "".join(into) + "|" + "".join(out) + "|" + digest[v]
            following.append(hashlib.md5(text.encode()).hexdigest())
        digest = following
    return hashlib.md5(str(sorted(digest)).encode()).hexdigest()


def test_the_space_has_423624_cells_in_order():
    found = all_cells()
    assert found.total == NASBench101().size() == 423_624
    assert np.unique(found.vertices, return_counts=True)[1].tolist() == [1, 6, 84, 2_441, 62_010, 359_082]
    codes = codes_of(*found)
    assert (np.diff(codes) > 0).all()
    for index in (0, 1, 77, 423_623):
        cell = found.cell(index)
        assert canonical(cell) == prune(cell) == cell
        assert code_of(cell.vertices, cell.bits, labelling_of(cell.operations)) == codes[index]
        assert cell_of(int(codes[index])) == cell


def test_published_hash_and_parameters():
    # First row of the benchmark's file, and ResNet-like and Inception-like cells of its paper.
    space = NASBench101()
    matrix = np.zeros((7, 7), dtype=int)
    for x, y in ((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6)):
        matrix[x, y] = 1
    chain = space.cell(matrix, ["input", *["conv3x3-bn-relu"] * 5, "output"])
    assert space.graph(chain).labels == ("input", *["conv3x3-bn-relu"] * 5, "output")
    assert parameters(INPUT_TO_OUTPUT) == 3 * 9 * 128 + 256 + 5130 + sum(
        n * (i * o + 2 * o) for i, o, n in ((128, 128, 3), (128, 256, 1), (256, 256, 2), (256, 512, 1), (512, 512, 2))
    )


def test_hash_is_the_papers():
    for cell in cells(0, 200):
        pruned = prune(cell)
        if pruned is not None:
            assert module_hash(pruned) == hash_of_the_paper(pruned)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 2**31))
def test_equal_keys_are_isomorphic_cells(seed):
    rng = np.random.default_rng(seed)
    cell = all_cells().cell(int(rng.integers(423_624)))
    other = shuffled(cell, rng)
    assert canonical(other) == cell
    assert module_hash(other) == module_hash(cell)
    # The few channels that do not divide among the output's sources go to the first ones, whatever they compute.
    assert parameters(other) == pytest.approx(parameters(cell), rel=1e-2)


def test_canonical_form_tells_apart_what_the_hash_tells_apart():
    drawn = [canonical(pruned) for cell in cells(1, 3000) if (pruned := prune(cell)) and is_valid(cell)]
    assert len({module_hash(cell) for cell in drawn}) == len(set(drawn))


def test_pruning():
    assert prune(Cell(0, (0,))) is None
    dangling = Cell(1 << edge_bit(0, 1) | 1 << edge_bit(0, 2) | 1 << edge_bit(2, 3), (0, 1))
    assert prune(dangling) == Cell(1 << edge_bit(0, 1) | 1 << edge_bit(1, 2), (1,))
    assert prune(Cell(1 << edge_bit(0, 2), (0,))) == INPUT_TO_OUTPUT


def test_every_vector_is_repaired_to_a_cell():
    space = NASBench101()
    for cell in cells(2, 300):
        repaired = repair(cell)
        assert is_valid(repaired)
        if is_valid(cell):
            assert repaired == prune(cell)
    assert repair(Cell(0, (0,) * 5)) == INPUT_TO_OUTPUT
    star = sum(1 << edge_bit(0, v) | 1 << edge_bit(v, 6) for v in range(1, 6))  # ten edges, none can be spared
    assert repair(Cell(star, (0, 1, 2, 0, 1))).vertices == 6
    assert space.from_vector([0] * 26).key == space.architecture((1, "")).key


def test_embedding_keeps_the_network():
    rng = np.random.default_rng(0)
    for index in rng.integers(70_000, size=50):  # cells of at most six vertices come first
        cell = all_cells().cell(int(index))
        for embedded in (embed(cell), embed(cell, rng)):
            assert embedded.vertices == 7
            assert canonical(prune(embedded)) == cell


def test_mutation_reaches_other_sizes_and_neighbours_agree():
    space = NASBench101()
    rng = np.random.default_rng(0)
    parent = space.architecture((0b100_11_1, "00"))  # a chain of two operations and a way around the first
    mutants = {space.mutate(parent, rng).key for _ in range(400)}
    assert parent.key not in mutants
    sizes = {len(key.split(":")[1]) for key in mutants}
    assert {1, 2, 3} <= sizes
    neighbours = {architecture.key for architecture in space.neighbours(parent)}
    assert len(neighbours) > 20
    assert len(mutants & neighbours) > len(neighbours) / 2


def test_uniform_and_adjacency_samplers_differ():
    rng = np.random.default_rng(0)
    sizes = {}
    for sampler in ("uniform", "adjacency"):
        space = NASBench101(sampler=sampler)
        sizes[sampler] = np.mean([len(space.sample(rng).genotype[1]) for _ in range(400)])
    assert 4.7 < sizes["uniform"] < 5.0  # 4.84 over the whole space
    assert sizes["adjacency"] < sizes["uniform"] - 0.15


@pytest.mark.parametrize(
    ("genotype", "message"),
    [
        ((1, "01234"), "012"),
        ((1, "000000"), "digits"),
        ((8, "0"), "beyond"),
        ((0, "0"), "no path"),
        ((2**21 - 1, "00000"), "nine"),
        (("1", "0"), "integer"),
        ((True, "0"), "integer"),
    ],
)
def test_bad_cells_say_why(genotype, message):
    with pytest.raises(SpaceError, match=message):
        NASBench101().architecture(genotype)


def test_bad_matrices_say_why():
    with pytest.raises(SpaceError, match="upper triangular"):
        NASBench101().cell([[0, 0], [1, 0]], ["input", "output"])
    with pytest.raises(SpaceError, match="conv3x3-bn-relu"):
        NASBench101().cell(np.triu(np.ones((3, 3), int), 1), ["input", "conv3x3", "output"])
    with pytest.raises(SpaceError, match="uniform"):
        NASBench101(sampler="unifrom")


def test_graphs_of_cells_in_any_form_are_read():
    space = NASBench101()
    line = space.from_graph(Graph(("input", "maxpool3x3", "conv1x1-bn-relu", "output"), ((0, 2), (1, 3), (2, 3))))
    assert line == space.from_graph(Graph.chain(("conv1x1-bn-relu",)))  # the pool is on no path
    for wrong in (
        Graph((), ()),
        Graph(("input", "output"), ()),
        Graph(("input", "conv3x3-bn-relu"), ((0, 1),)),
        Graph(("input", "input", "output"), ((0, 1), (1, 2))),
        Graph.chain(("maxpool3x3",) * 6),
    ):
        with pytest.raises(SpaceError):
            space.from_graph(wrong)


@pytest.mark.parametrize(
    "labels", [("input", "conv3x3-bn-relu"), ("conv3x3-bn-relu", "output"), ("output", "input"), ("input",), ()]
)
def test_graphs_that_do_not_run_from_input_to_output_are_refused(labels):
    with pytest.raises(SpaceError, match="from its input to its output"):
        NASBench101().from_graph(Graph(labels, tuple((i, i + 1) for i in range(len(labels) - 1))))


def test_a_cell_comes_back_from_its_graph():
    space = NASBench101()
    for seed in range(10):
        architecture = space.sample(np.random.default_rng(seed))
        assert space.from_graph(space.graph(architecture)).key == architecture.key
