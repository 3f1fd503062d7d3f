"""The cell space of DARTS, in floating point or with bit widths for every convolution. Torch only to build."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.protocols import Choice, Task
from nasplug.contract.records import Architecture, Genotype, Scalar
from nasplug.spaces.choices import ChoiceSpace
from nasplug.spaces.graph import Graph
from nasplug_darts_lp.spaces.layers.space import check_bits

if TYPE_CHECKING:
    from nasplug.workloads.workload import Workload
    from nasplug_darts_lp.supernet.base import Supernet, SupernetOptions

CELLS = ("normal", "reduction")
#: Operations of DARTS. `none`, the eighth, is a candidate of supernets and never part of a network.
OPERATIONS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
#: Inputs of a cell: the outputs of the last cell but one, and of the last.
INPUTS = 2


@dataclass(frozen=True, slots=True)
class Edge:
    """One of the two things that a node adds up.

    Attributes:
        source: 0 and 1 are the inputs of the cell, 2 its first node, and so on.
        operation: Its name.
        weight_bits, activation_bits: Of its convolutions; None in floating point, and where there are none.
    """

    source: int
    operation: str
    weight_bits: int | None = None
    activation_bits: int | None = None


def has_convolution(operation: str) -> bool:
    """Whether an operation computes with bits of its own."""
    return "conv" in operation


def node_inputs(node: int) -> tuple[tuple[int, int], ...]:
    """The pairs of different sources that a node may have."""
    return tuple(itertools.combinations(range(node + INPUTS), 2))


class CellSpace(ChoiceSpace):
    """Networks of a normal and a reduction cell, whose nodes add up two operations on different earlier outputs.

    Cells at one and two thirds of the depth halve the image and double the channels; all nodes of a cell are
    concatenated. Auxiliary classifier and drop path are left out.

    Source: Liu, Simonyan and Yang, "DARTS", ICLR 2019 (arXiv 1806.09055). Bit widths per operation are an addition.

    Args:
        channels: Of every operation in the first cell; DARTS searches with 16. 4 suits processors without a GPU.
        layers: Number of cells, at least 3; DARTS searches with 8 and trains 20.
        nodes: Nodes of a cell; DARTS has 4.
        operations: To choose from.
        weight_bits: Widths of weights to choose from, each 1 to 8; empty, the default, for floating point.
        activation_bits: Likewise of activations; both are empty or none is.
        first_last_bits: Of all convolutions that are no choice, and of the classifier, in low precision.
        activations: Kind of the quantisers of activations in built networks.
        weights: Kind of the quantisers of weights.

    Raises:
        SpecError: An argument that makes no space.
    """

    @classmethod
    def nasplug_examples(cls) -> list[Mapping[str, Any]]:
        """Small ones, with which the generic suite tests the space."""
        small = {"channels": 2, "layers": 3}
        return [small, small | {"nodes": 2, "weight_bits": [1, 4], "activation_bits": [2, 8]}]

    def __init__(
        self,
        channels: int = 16,
        layers: int = 8,
        nodes: int = 4,
        operations: Sequence[str] = OPERATIONS,
        weight_bits: Sequence[int] = (),
        activation_bits: Sequence[int] = (),
        first_last_bits: int | None = 8,
        activations: str = "double_st",
        weights: str = "uniform",
    ) -> None:
        where = "darts_lp.cell"
        if channels < 1 or layers < 3 or nodes < 1:
            raise SpecError(
                f"channels={channels}, layers={layers} and nodes={nodes} make no network",
                where=where,
                fix="give 1 channel, 3 layers (a normal cell and two reductions) and 1 node, or more",
            )
        for name in operations:
            if name not in OPERATIONS:
                raise SpecError(f"there is no operation {name!r}", where=where, fix=did_you_mean(name, OPERATIONS))
        check_bits(weight_bits, activation_bits, first_last_bits, where)
        self.channels, self.layers, self.nodes, self.operations = channels, layers, nodes, tuple(operations)
        self.weight_bits, self.activation_bits = tuple(weight_bits), tuple(activation_bits)
        self.first_last_bits = first_last_bits if self.weight_bits else None
        self.activations, self.weights = activations, weights
        choices = []
        for cell in CELLS:
            for node in range(nodes):
                pairs = tuple(f"{a},{b}" for a, b in node_inputs(node))
                choices.append(Choice(f"{cell}{node}_inputs", pairs))
                for side in "ab":
                    options: dict[str, tuple[Scalar, ...]] = {"op": self.operations}
                    if self.weight_bits:
                        options |= {"weight_bits": self.weight_bits, "activation_bits": self.activation_bits}
                    choices += [Choice(f"{cell}{node}_{part}_{side}", values) for part, values in options.items()]
        super().__init__("darts_lp.cell", choices)

    @property
    def reductions(self) -> tuple[int, ...]:
        """Which cells halve the image."""
        return (self.layers // 3, 2 * self.layers // 3)

    def cell(self, genotype: Any, name: str) -> tuple[tuple[Edge, Edge], ...]:
        """The two edges of every node.

        Args:
            genotype: Of an architecture of the space.
            name: `normal` or `reduction`.
        """
        width = 7 if self.weight_bits else 3
        start = CELLS.index(name) * self.nodes * width
        found = []
        for node in range(self.nodes):
            inputs, *rest = genotype[start + node * width : start + (node + 1) * width]
            first, second = (int(source) for source in inputs.split(","))
            half = len(rest) // 2
            found.append((_edge(first, rest[:half]), _edge(second, rest[half:])))
        return tuple(found)

    def genotype(self, cells: Mapping[str, Sequence[tuple[Edge, Edge]]]) -> tuple[Scalar, ...]:
        """The inverse of `cell`, for both cells; bits that make no difference become the first ones."""
        found: list[Scalar] = []
        for name in CELLS:
            for first, second in cells[name]:
                found.append(f"{first.source},{second.source}")
                for edge in (first, second):
                    found.append(edge.operation)
                    if self.weight_bits:
                        found.append(edge.weight_bits or self.weight_bits[0])
                        found.append(edge.activation_bits or self.activation_bits[0])
        return tuple(found)

    def canonical(self, genotype: tuple[Genotype, ...]) -> Genotype:
        """Both cells, without the bits of operations that have none."""
        return tuple([tuple([_written(e) for pair in self.cell(genotype, name) for e in pair]) for name in CELLS])

    def graph(self, architecture: Architecture) -> Graph:
        """Both cells in a row, with `cell_input` (last cell but one, last cell), operations, `add` and `concat`."""
        labels, edges, before = ["input"], [], 0
        for name in CELLS:
            names = [len(labels), len(labels) + 1]
            labels += ["cell_input_before_last", "cell_input_last"]
            edges += [(before, place) for place in names]
            for pair in self.cell(architecture.genotype, name):
                add = len(labels) + 2
                for edge in pair:
                    bits = "" if edge.weight_bits is None else f"_w{edge.weight_bits}a{edge.activation_bits}"
                    edges += [(names[edge.source], len(labels)), (len(labels), add)]
                    labels.append(edge.operation + bits)
                names.append(add)
                labels.append("add")
            before = len(labels)
            edges += [(place, before) for place in names[INPUTS:]]
            labels.append("concat")
        edges.append((before, len(labels)))
        return Graph((*labels, "output"), tuple(edges)).without(())  # an input that nothing reads goes

    def build(self, architecture: Architecture, task: Task) -> Any:
        """A `CellNetwork`.

        Raises:
            SpecError: The inputs are no images.
        """
        from nasplug_darts_lp.spaces.cell.network import CellNetwork

        return CellNetwork(self, architecture, task.input_shape, task.outputs)

    def workload(self, architecture: Architecture, task: Task) -> Workload:
        """The layers of the network, with the bits of every one."""
        from nasplug_darts_lp.spaces.workload import cell_workload

        return cell_workload(self, architecture, task.input_shape, task.outputs)

    def supernet(self, input_shape: Sequence[int], outputs: int, options: SupernetOptions) -> Supernet:
        """All networks of the space in one."""
        from nasplug_darts_lp.spaces.cell.supernet import CellSupernet

        return CellSupernet(self, input_shape, outputs, options)


def _edge(source: int, parts: Sequence[Any]) -> Edge:
    operation = str(parts[0])
    bits = parts[1:] if len(parts) > 1 and has_convolution(operation) else (None, None)
    return Edge(source, operation, *bits)


def _written(edge: Edge) -> Genotype:
    return (edge.source, edge.operation, edge.weight_bits, edge.activation_bits)
