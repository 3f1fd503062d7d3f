"""NAS-Bench-101 as a search space: 423,624 cells with every capability."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from nasplug.contract.errors import SpaceError, did_you_mean
from nasplug.contract.members import check_member
from nasplug.contract.protocols import Choice
from nasplug.contract.records import Architecture
from nasplug.contract.wording import plural
from nasplug.spaces.graph import Graph
from nasplug.spaces.images import ClassifiesImages
from nasplug_tables.spaces.nasbench101.cells import (
    MAX_EDGES,
    MAX_VERTICES,
    OPERATIONS,
    Cell,
    canonical,
    edge_bit,
    is_valid,
    prune,
)
from nasplug_tables.spaces.nasbench101.enumeration import all_cells, cell_of, code_of, codes_of, labelling_of
from nasplug_tables.spaces.nasbench101.repair import embed, repair

if TYPE_CHECKING:
    from torch import nn

    from nasplug.contract.protocols import Task
    from nasplug.workloads.workload import Workload

INNER = MAX_VERTICES - 2
EDGES = MAX_VERTICES * (MAX_VERTICES - 1) // 2


class NASBench101(ClassifiesImages):
    """Cells of at most seven vertices, nine edges and three operations (Ying et al., ICML 2019, arXiv 1902.09635).

    A genotype is `(bits, operations)`: the edge x -> y with x < y is bit x + y (y - 1) / 2, and `operations` has one
    digit for every vertex between input and output: 0 conv3x3-bn-relu, 1 conv1x1-bn-relu, 2 maxpool3x3. Architectures
    always hold the pruned, canonical cell, so equal keys are isomorphic cells.

    Args:
        sampler: `uniform` draws every distinct cell with the same probability. `adjacency` draws each of the 21 edges
            with probability one half and rejects invalid cells, as much of the literature does; large cells with
            few symmetries are then more frequent.
        channels: Channels of the stem, in networks; the benchmark trained 128.
        stacks: Stacks of cells, with halved resolution and doubled channels in between.
        cells: Cells per stack.

    Raises:
        SpaceError: Unknown sampler.
    """

    name = "nasbench101"
    #: A change may take a vertex off every path, and with it several decisions.
    nasplug_conformance: ClassVar[Mapping[str, Any]] = {"one_decision": False}
    #: Columns that say which cell a row of a table is.
    table_columns = ("num_vertices", "adj_bits", "ops")

    def __init__(
        self,
        sampler: Literal["uniform", "adjacency"] = "uniform",
        channels: int = 128,
        stacks: int = 3,
        cells: int = 3,
    ) -> None:
        if sampler not in ("uniform", "adjacency"):
            raise SpaceError(
                f"there is no sampler {sampler!r}",
                where="space nasbench101",
                fix=did_you_mean(str(sampler), ("uniform", "adjacency")),
            )
        self.sampler = sampler
        self.channels, self.stacks, self.cells = channels, stacks, cells
        self._choices = (
            *(Choice(f"edge_{x}_{y}", (False, True)) for y in range(1, MAX_VERTICES) for x in range(y)),
            *(Choice(f"operation_{vertex}", OPERATIONS) for vertex in range(1, MAX_VERTICES - 1)),
        )

    @classmethod
    def nasplug_examples(cls) -> list[Mapping[str, Any]]:
        """What `nasplug test-plugin` tests it with: small networks."""
        return [{"channels": 8, "stacks": 2, "cells": 1}]

    # -- architectures -------------------------------------------------------------------------------------------

    def architecture(self, genotype: Any) -> Architecture:
        """Prunes and canonicalises a genotype `(bits, operations)`.

        Raises:
            SpaceError: Another form, no path from input to output, or more than nine edges.
        """
        where = "space 'nasbench101'"
        if not isinstance(genotype, (tuple, list)) or len(genotype) != 2:
            raise SpaceError(f"a genotype is (bits, operations), not {genotype!r}", where=where)
        bits, operations = genotype
        if type(bits) is not int or not isinstance(operations, str):
            raise SpaceError(f"a genotype is an integer and a string of digits, not {genotype!r}", where=where)
        vertices = len(operations) + 2
        if vertices > MAX_VERTICES or not set(operations) <= set("012"):
            raise SpaceError(f"operations are at most five digits out of 012, not {operations!r}", where=where)
        if not 0 <= bits < 1 << vertices * (vertices - 1) // 2:
            raise SpaceError(f"{bits} names edges beyond {plural(vertices, 'vertex', 'vertices')}", where=where)
        pruned = prune(Cell(bits, tuple(map(int, operations))))
        if pruned is None:
            raise SpaceError("the cell has no path from input to output", where=where)
        if pruned.bits.bit_count() > MAX_EDGES:
            raise SpaceError(
                f"the cell has {plural(pruned.bits.bit_count(), 'edge')}; at most nine are allowed", where=where
            )
        return _wrap(canonical(pruned))

    def cell(self, matrix: Any, operations: Sequence[str]) -> Architecture:
        """Makes an architecture from the form that the benchmark's own files use.

        Args:
            matrix: Adjacency matrix, upper triangular, shape (vertices, vertices).
            operations: Names of all vertices, `input` and `output` included.

        Raises:
            SpaceError: The matrix is not upper triangular, an operation is unknown, or the cell is not in the space.
        """
        where = "space 'nasbench101'"
        found = np.asarray(matrix)
        if found.ndim != 2 or found.shape != (len(operations),) * 2 or (np.tril(found) != 0).any():
            raise SpaceError(
                f"the matrix is not upper triangular for {plural(len(operations), 'operation')}", where=where
            )
        for name in operations[1:-1]:
            if name not in OPERATIONS:
                raise SpaceError(f"unknown operation {name!r}", where=where, fix=did_you_mean(name, OPERATIONS))
        bits = sum(1 << edge_bit(int(x), int(y)) for x, y in zip(*np.nonzero(found), strict=True))
        return self.architecture((bits, "".join(str(OPERATIONS.index(name)) for name in operations[1:-1])))

    def validate(self, architecture: Architecture) -> None:
        """Checks name, genotype and key.

        Raises:
            SpaceError: The architecture is not of this space.
        """
        check_member(self, architecture)

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Draws a cell; see `sampler`."""
        if self.sampler == "uniform":
            cells = all_cells()
            return _wrap(cells.cell(int(rng.integers(cells.total))))
        while True:
            bits = int(rng.integers(1 << EDGES))
            cell = prune(Cell(bits, tuple(rng.integers(len(OPERATIONS), size=INNER).tolist())))
            if cell is not None and cell.bits.bit_count() <= MAX_EDGES:
                return _wrap(canonical(cell))

    def build(self, architecture: Architecture, task: Task) -> Any:
        """Builds the benchmark's network around the cell, for the task's channels and outputs."""
        from nasplug_tables.spaces.nasbench101.network import build_network

        return build_network(
            unwrap(architecture),
            task.input_shape[0],
            task.outputs,
            channels=self.channels,
            stacks=self.stacks,
            cells=self.cells,
        )

    def shared(self, architecture: Architecture, network: nn.Module) -> dict[str, tuple[str, dict[int, Sequence[int]]]]:
        """An operation of a vertex is one in all networks, with its normalisation; see `nasplug.SharesWeights`.

        Vertices are those of the canonical cell. Where they have fewer channels, they have the first ones.
        """
        operations = unwrap(architecture).operations
        found: dict[str, tuple[str, dict[int, Sequence[int]]]] = {}
        for name, _ in network.named_parameters():
            cell, inside, rest = name.partition(".operations.")
            if inside:
                vertex, _, parameter = rest.partition(".")
                found[name] = f"{cell}.{vertex}.{OPERATIONS[operations[int(vertex)]]}.{parameter}", {}
        return found

    def workload(self, architecture: Architecture, task: Task) -> Workload:
        """The layers of the benchmark's network around the cell."""
        from nasplug_tables.spaces.nasbench101.workload import network_workload

        sizes = {"channels": self.channels, "stacks": self.stacks, "cells": self.cells}
        return network_workload(unwrap(architecture), task.input_shape, task.outputs, **sizes)

    # -- neighbourhoods ------------------------------------------------------------------------------------------

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Changes one edge or one operation, picked uniformly among 21 + 5.

        The cell is first given its missing vertices back, without edges and at random places. Changes that leave the
        network as it was, such as an edge that leads nowhere, are kept and followed by another one.
        """
        cell = embed(unwrap(architecture), rng)
        while True:
            index = int(rng.integers(EDGES + INNER))
            if index < EDGES:
                changed = Cell(cell.bits ^ 1 << index, cell.operations)
            else:
                operations = list(cell.operations)
                shift = 1 + int(rng.integers(len(OPERATIONS) - 1))
                operations[index - EDGES] = (operations[index - EDGES] + shift) % len(OPERATIONS)
                changed = Cell(cell.bits, tuple(operations))
            pruned = prune(changed)
            if pruned is None or pruned.bits.bit_count() > MAX_EDGES:
                continue
            found = _wrap(canonical(pruned))
            if found.key != architecture.key:
                return found
            cell = changed

    def cross(self, first: Architecture, second: Architecture, rng: np.random.Generator) -> Architecture:
        """Takes every edge and operation from either parent, and repairs invalid cells."""
        take = rng.random(EDGES + INNER) < 0.5
        pairs = zip(self.vector(first), self.vector(second), take.tolist(), strict=True)
        return self.from_vector([a if from_first else b for a, b, from_first in pairs])

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """All cells one change away, sorted by key.

        A change flips an edge, replaces an operation, or puts a new vertex between two vertices.
        """
        cell = unwrap(architecture)
        found = {}
        for changed in _changes(cell):
            if is_valid(changed):
                pruned = prune(changed)
                assert pruned is not None
                other = _wrap(canonical(pruned))
                found[other.key] = other
        found.pop(architecture.key, None)
        return [found[key] for key in sorted(found)]

    # -- other forms ---------------------------------------------------------------------------------------------

    def size(self) -> int:
        """Number of cells."""
        return all_cells().total

    def __iter__(self) -> Iterator[Architecture]:
        cells = all_cells()
        return (_wrap(cells.cell(index)) for index in range(cells.total))

    def graph(self, architecture: Architecture) -> Graph:
        """The pruned canonical cell, operations by name."""
        cell = unwrap(architecture)
        return Graph(("input", *(OPERATIONS[digit] for digit in cell.operations), "output"), cell.edges())

    def from_graph(self, graph: Graph) -> Architecture:
        """The cell of a graph, which may be neither pruned nor canonical.

        Raises:
            SpaceError: The graph is not a cell of the space.
        """
        if len(graph.labels) < 2 or (graph.labels[0], graph.labels[-1]) != ("input", "output"):
            raise SpaceError("a cell runs from its input to its output", where="space 'nasbench101'")
        matrix = np.zeros((len(graph.labels),) * 2, dtype=np.uint8)
        for source, target in graph.edges:
            matrix[source, target] = 1
        return self.cell(matrix, graph.labels)

    @property
    def choices(self) -> tuple[Choice, ...]:
        """21 possible edges in the order of their bits, then five operations."""
        return self._choices

    def vector(self, architecture: Architecture) -> tuple[int, ...]:
        """Edges and operations of the cell with seven vertices, the missing ones in front of the output."""
        cell = embed(unwrap(architecture))
        return (*(cell.bits >> bit & 1 for bit in range(EDGES)), *cell.operations)

    def from_vector(self, indices: Sequence[int]) -> Architecture:
        """The cell of a vector. Every vector has one: see `nasplug_tables.spaces.nasbench101.repair.repair`."""
        bits = sum(1 << bit for bit in range(EDGES) if indices[bit])
        return _wrap(canonical(repair(Cell(bits, tuple(int(digit) for digit in indices[EDGES:])))))

    # -- tables --------------------------------------------------------------------------------------------------

    def codes(self, columns: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
        """One integer per row of a table.

        Args:
            columns: The columns `table_columns`; rows may hold any valid cell.

        Raises:
            SpaceError: A row holds no cell of the space.
        """
        texts = np.asarray(columns["ops"], dtype="S")
        digits = texts.view(np.uint8).reshape(len(texts), texts.dtype.itemsize).astype(np.int64) - ord("0")
        filled = digits >= 0  # text is padded with zero bytes
        if (filled & (digits >= len(OPERATIONS))).any() or (filled.sum(axis=1) != columns["num_vertices"] - 2).any():
            raise SpaceError(
                "column 'ops' does not hold one digit of 012 per inner vertex", where="table of nasbench101"
            )
        labelling = np.zeros(len(texts), dtype=np.int64)
        for index in range(digits.shape[1]):
            labelling = np.where(filled[:, index], labelling * len(OPERATIONS) + digits[:, index], labelling)
        found = codes_of(columns["num_vertices"], columns["adj_bits"], labelling)
        known = codes_of(*all_cells())
        nearest = np.minimum(np.searchsorted(known, found), len(known) - 1)
        for row in np.flatnonzero(known[nearest] != found):  # cells in another form than ours
            found[row] = self.code(self.architecture((int(columns["adj_bits"][row]), texts[row].decode())))
        return found

    def code(self, architecture: Architecture) -> int:
        """The integer of an architecture, as in `codes`."""
        cell = unwrap(architecture)
        return code_of(cell.vertices, cell.bits, labelling_of(cell.operations))

    def from_code(self, code: int) -> Architecture:
        """The inverse of `code`."""
        return _wrap(cell_of(code))


def unwrap(architecture: Architecture) -> Cell:
    """The cell of an architecture."""
    genotype: Any = architecture.genotype
    return Cell(genotype[0], tuple([ord(digit) - 48 for digit in genotype[1]]))


def _wrap(cell: Cell) -> Architecture:
    operations = "".join(map(str, cell.operations))
    return Architecture("nasbench101", (cell.bits, operations), f"{cell.bits}:{operations}")


def _changes(cell: Cell) -> Iterator[Cell]:
    vertices = cell.vertices
    for bit in range(vertices * (vertices - 1) // 2):
        yield Cell(cell.bits ^ 1 << bit, cell.operations)
    for index, digit in enumerate(cell.operations):
        for other in range(len(OPERATIONS)):
            if other != digit:
                yield Cell(cell.bits, (*cell.operations[:index], other, *cell.operations[index + 1 :]))
    if vertices == MAX_VERTICES:
        return
    for new in range(1, vertices):  # the new vertex takes this place, everything from there on moves up
        order = [*range(new), *range(new + 1, vertices + 1)]
        moved = sum(1 << edge_bit(order[x], order[y]) for x, y in cell.edges())
        for source in range(new):
            for target in range(new + 1, vertices + 1):
                bits = moved | 1 << edge_bit(source, new) | 1 << edge_bit(new, target)
                for digit in range(len(OPERATIONS)):
                    yield Cell(bits, (*cell.operations[: new - 1], digit, *cell.operations[new - 1 :]))
