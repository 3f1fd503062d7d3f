"""The cell space of DARTS, in floating point or with bit widths for every convolution. Torch only to build."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nasplug.contract.protocols import Choice, Task
from nasplug.contract.records import Architecture, Genotype, Scalar
from nasplug.spaces.cells import CELLS, INPUTS, OPERATIONS, cells_graph
from nasplug.spaces.choices import ChoiceSpace
from nasplug.spaces.graph import Graph
from nasplug.spaces.images import ClassifiesImages
from nasplug_darts_lp.spaces.cell.edges import Edge, node_inputs
from nasplug_darts_lp.spaces.cell.settings import CellSettings

if TYPE_CHECKING:
    from torch import nn

    from nasplug.workloads.workload import Workload
    from nasplug_darts_lp.spaces.sharing import Shared
    from nasplug_darts_lp.supernet.base import Supernet
    from nasplug_darts_lp.supernet.options import SupernetOptions


class CellSpace(ClassifiesImages, ChoiceSpace):
    """Networks of a normal and a reduction cell, whose nodes add up two operations on different earlier outputs.

    Cells at one and two thirds of the depth halve the image and double the channels; all nodes of a cell are
    concatenated. Auxiliary classifier and drop path are left out.

    Source: Liu, Simonyan and Yang, "DARTS", ICLR 2019 (arXiv 1806.09055). Bit widths per operation are an addition.

    Args:
        channels: Number of channels of every operation in the first cell; DARTS searches with 16, and 4 suits
            processors without a GPU.
        layers: Number of cells, at least 3; DARTS searches with 8 and trains 20.
        nodes: Number of nodes of a cell; DARTS has 4.
        operations: Operations to choose from.
        weight_bits: Bit widths of weights to choose from, each 1 to 8; empty, the default, for floating point.
        activation_bits: Bit widths of activations to choose from; empty if and only if `weight_bits` is.
        first_last_bits: Bits of the classifier and of all convolutions that are not a choice, in low precision.
        activations: Kind of the activation quantisers in built networks.
        weights: Kind of the weight quantisers in built networks.

    Attributes:
        settings: All of these as a record.

    Raises:
        SpecError: An argument out of range, or an unknown operation.
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
        self.settings = CellSettings(
            channels,
            layers,
            nodes,
            tuple(operations),
            tuple(weight_bits),
            tuple(activation_bits),
            first_last_bits,
            activations,
            weights,
        )
        choices = []
        for cell in CELLS:
            for node in range(nodes):
                pairs = tuple(f"{a},{b}" for a, b in node_inputs(node))
                choices.append(Choice(f"{cell}{node}_inputs", pairs))
                for side in "ab":
                    options: dict[str, tuple[Scalar, ...]] = {"op": self.settings.operations}
                    if weight_bits:
                        options |= {"weight_bits": tuple(weight_bits), "activation_bits": tuple(activation_bits)}
                    choices += [Choice(f"{cell}{node}_{part}_{side}", values) for part, values in options.items()]
        super().__init__("darts_lp.cell", choices)

    def canonical(self, genotype: tuple[Genotype, ...]) -> Genotype:
        """Both cells, without the bits of operations that have none."""
        cells = [self.settings.cell(genotype, name) for name in CELLS]
        return tuple([tuple([_written(edge) for pair in cell for edge in pair]) for cell in cells])

    def graph(self, architecture: Architecture) -> Graph:
        """Both cells in a row, with `cell_input` (last cell but one, last cell), operations, `add` and `concat`."""
        nodes = range(INPUTS, INPUTS + self.settings.nodes)
        cells = [self.settings.cell(architecture.genotype, name) for name in CELLS]
        return cells_graph(([[(edge.source, _label(edge)) for edge in pair] for pair in cell], nodes) for cell in cells)

    def build(self, architecture: Architecture, task: Task) -> Any:
        """Builds a `nasplug_darts_lp.spaces.cell.network.CellNetwork`.

        Raises:
            SpecError: The inputs are not images.
        """
        from nasplug_darts_lp.spaces.cell.network import CellNetwork

        return CellNetwork(self.settings, architecture.genotype, task.input_shape, task.outputs)

    def shared(self, architecture: Architecture, network: nn.Module) -> Shared:
        """An operation on one edge is one layer, and bits share its weights; see `nasplug.SharesWeights`."""
        from nasplug_darts_lp.spaces.sharing import shared_by_bits

        cells = {name: self.settings.cell(architecture.genotype, name) for name in CELLS}
        edges = {
            f"cells.{number}.edges.{edge.source}-{node}": edge.operation
            for number, frame in enumerate(self.settings.frames())
            for node, pair in enumerate(cells[frame.cell], start=INPUTS)
            for edge in pair
        }
        return shared_by_bits(network, edges)

    def workload(self, architecture: Architecture, task: Task) -> Workload:
        """Lists the layers of the network, with the bits of every one."""
        from nasplug_darts_lp.spaces.cell.workload import cell_workload

        return cell_workload(self.settings, architecture.genotype, task.input_shape, task.outputs)

    def supernet(self, input_shape: Sequence[int], outputs: int, options: SupernetOptions) -> Supernet:
        """Makes the network that holds all networks of the space."""
        from nasplug_darts_lp.spaces.cell.supernet import CellSupernet

        return CellSupernet(self.settings, self.architecture, input_shape, outputs, options)


def _label(edge: Edge) -> str:
    bits = "" if edge.weight_bits is None else f"_w{edge.weight_bits}a{edge.activation_bits}"
    return edge.operation + bits


def _written(edge: Edge) -> Genotype:
    return (edge.source, edge.operation, edge.weight_bits, edge.activation_bits)
