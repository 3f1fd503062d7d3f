"""The layer-wise space: operation, kernel size and bit widths of every residual block. Torch only to build."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from nasplug.contract.protocols import Task
from nasplug.contract.records import Architecture, Genotype
from nasplug.spaces.choices import ChoiceSpace
from nasplug.spaces.graph import Graph
from nasplug.spaces.images import ClassifiesImages
from nasplug_darts_lp.spaces.layers.layouts import layout as layout_of
from nasplug_darts_lp.spaces.layers.settings import LayerSettings

if TYPE_CHECKING:
    from torch import nn

    from nasplug.workloads.workload import Workload
    from nasplug_darts_lp.spaces.sharing import Shared
    from nasplug_darts_lp.supernet.base import Supernet
    from nasplug_darts_lp.supernet.options import SupernetOptions


class LayersSpace(ClassifiesImages, ChoiceSpace):
    """Residual networks whose every block chooses its operation, kernel size, weight bits and activation bits.

    A block is one convolution with a shortcut around it. `skip` leaves it out; blocks that change the shape stay.
    Where a block is left out, its kernel and bits make no difference to the key. Stem and classifier have
    `first_last_bits`, and so have the 1x1 convolutions in the shortcuts of blocks that change the shape.

    Args:
        layout: Layout, `cifar` (three stages), `tiny_imagenet` (four, for 64 x 64 pixels) or `imagenet`.
        width: Factor on all channels; 0.25 suits processors without a GPU.
        blocks: Number of blocks per stage; None takes the layout's.
        operations: Operations to choose from: `conv` and, to let blocks be left out, `skip`.
        kernels: Kernel sizes to choose from, odd.
        weight_bits: Bit widths of weights to choose from, each 1 to 8; empty for a search in floating point.
        activation_bits: Bit widths of activations to choose from; empty if and only if `weight_bits` is.
        first_last_bits: Bits of stem, classifier and shortcuts; None leaves them in floating point.
        activations: Kind of the activation quantisers in built networks.
        weights: Kind of the weight quantisers in built networks.

    Attributes:
        settings: All of these as a record.

    Raises:
        SpecError: An argument out of range.
        UnknownNameError: The layout is unknown.
    """

    @classmethod
    def nasplug_examples(cls) -> list[Mapping[str, Any]]:
        """Small ones, with which the generic suite tests the space."""
        small = {"width": 0.25, "blocks": 1}
        return [small, small | {"weight_bits": [], "activation_bits": []}]

    def __init__(
        self,
        layout: Literal["cifar", "tiny_imagenet", "imagenet"] = "cifar",
        width: float = 1.0,
        blocks: int | None = None,
        operations: Sequence[str] = ("conv", "skip"),
        kernels: Sequence[int] = (3, 5),
        weight_bits: Sequence[int] = (1, 2, 4, 8),
        activation_bits: Sequence[int] = (1, 2, 4, 8),
        first_last_bits: int | None = 8,
        activations: str = "double_st",
        weights: str = "uniform",
    ) -> None:
        self.settings = LayerSettings(
            layout_of(layout, width, blocks),
            tuple(operations),
            tuple(kernels),
            tuple(weight_bits),
            tuple(activation_bits),
            first_last_bits,
            activations,
            weights,
        )
        super().__init__("darts_lp.layers", self.settings.choices())

    def canonical(self, genotype: tuple[Genotype, ...]) -> Genotype:
        """Kernel and bits of blocks that are left out become None."""
        groups = [genotype[i : i + 4] for i in range(0, len(genotype), 4)]
        return tuple([("skip", None, None, None) if group[0] == "skip" else group for group in groups])

    def graph(self, architecture: Architecture) -> Graph:
        """Convolutions with the shortcuts around them; labels say kernel and bits, such as `conv3_w4a2`."""
        labels, edges, last = ["input", "stem"], [(0, 1)], 1
        for block in self.settings.blocks(architecture.genotype):
            if block.operation == "skip":
                continue
            bits = "" if block.weight_bits is None else f"_w{block.weight_bits}a{block.activation_bits}"
            conv = len(labels)
            labels.append(f"conv{block.kernel}{bits}")
            edges.append((last, conv))
            around = last
            if not block.shape.keeps:
                labels.append("shortcut")
                edges.append((last, conv + 1))
                around = conv + 1
            edges += [(conv, len(labels)), (around, len(labels))]
            labels.append("add")
            last = len(labels) - 1
        edges.append((last, len(labels)))
        return Graph((*labels, "output"), tuple(edges))

    def build(self, architecture: Architecture, task: Task) -> Any:
        """Builds a `nasplug_darts_lp.spaces.layers.network.LayersNetwork`.

        Raises:
            SpecError: The inputs are not images.
        """
        from nasplug_darts_lp.spaces.layers.network import LayersNetwork

        return LayersNetwork(self.settings, architecture.genotype, task.input_shape, task.outputs)

    def shared(self, architecture: Architecture, network: nn.Module) -> Shared:
        """Bits of one kernel share its weights, and not their quantisers; see `nasplug.SharesWeights`."""
        from nasplug_darts_lp.spaces.sharing import shared_by_bits

        return shared_by_bits(network)

    def workload(self, architecture: Architecture, task: Task) -> Workload:
        """Lists the layers of the network, with the bits of every one."""
        from nasplug_darts_lp.spaces.layers.workload import layers_workload

        return layers_workload(self.settings, architecture.genotype, task.input_shape, task.outputs)

    def supernet(self, input_shape: Sequence[int], outputs: int, options: SupernetOptions) -> Supernet:
        """Makes the network that holds all networks of the space."""
        from nasplug_darts_lp.spaces.layers.supernet import LayersSupernet

        return LayersSupernet(self.settings, self.architecture, input_shape, outputs, options)
