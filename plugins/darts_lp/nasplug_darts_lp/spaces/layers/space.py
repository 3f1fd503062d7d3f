"""The layer-wise space: operation, kernel size and bit widths of every residual block. Torch only to build."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from nasplug.contract.errors import SpecError
from nasplug.contract.protocols import Choice, Task
from nasplug.contract.records import Architecture, Genotype, Scalar
from nasplug.spaces.choices import ChoiceSpace
from nasplug.spaces.graph import Graph
from nasplug_darts_lp.spaces.layers.layouts import Place, places
from nasplug_darts_lp.spaces.layers.layouts import layout as find_layout

if TYPE_CHECKING:
    from nasplug.workloads.workload import Workload
    from nasplug_darts_lp.supernet.base import Supernet, SupernetOptions

#: What is open about a block, in the order of the genotype.
PARTS = ("op", "kernel", "weight_bits", "activation_bits")


class LayersSpace(ChoiceSpace):
    """Residual networks whose every block chooses its operation, kernel size, weight bits and activation bits.

    A block is one convolution with a shortcut around it. `skip` leaves it out; blocks that change the shape stay.
    Where a block is left out, its kernel and bits make no difference to the key. Stem and classifier have
    `first_last_bits`, and so have the 1x1 convolutions in the shortcuts of blocks that change the shape.

    Args:
        layout: `cifar` (three stages), `tiny_imagenet` (four, for 64 x 64 pixels) or `imagenet`.
        width: Factor on all channels; 0.25 suits processors without a GPU.
        blocks: Blocks per stage; None takes the layout's.
        operations: `conv` and, to let blocks be left out, `skip`.
        kernels: Sizes to choose from, odd.
        weight_bits: Widths of weights to choose from, each 1 to 8; empty for a search in floating point.
        activation_bits: Likewise of activations; both are empty or none is.
        first_last_bits: Of stem, classifier and shortcuts; None leaves them in floating point.
        activations: Kind of the quantisers of activations in built networks.
        weights: Kind of the quantisers of weights.

    Raises:
        SpecError: An argument that makes no space.
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
        self.operations, self.kernels = tuple(operations), tuple(kernels)
        self.weight_bits, self.activation_bits = tuple(weight_bits), tuple(activation_bits)
        self.first_last_bits = first_last_bits if self.weight_bits else None
        self.activations, self.weights = activations, weights
        self._check()
        self.layout = find_layout(layout, width, blocks)
        self.places = places(self.layout)
        super().__init__("darts_lp.layers", [choice for place in self.places for choice in self.choices_of(place)])

    def _check(self) -> None:
        where = "darts_lp.layers"
        if self.operations not in (("conv",), ("conv", "skip"), ("skip", "conv")):
            raise SpecError(f"operations={list(self.operations)}", where=where, fix="write [conv] or [conv, skip]")
        check_kernels(self.kernels, where)
        check_bits(self.weight_bits, self.activation_bits, self.first_last_bits, where)

    def choices_of(self, place: Place) -> list[Choice]:
        """What is open about one block."""
        options: list[tuple[Scalar, ...]] = [
            self.operations if place.keeps else ("conv",),
            self.kernels,
            self.weight_bits or (None,),
            self.activation_bits or (None,),
        ]
        return [Choice(f"{place.name}_{part}", values) for part, values in zip(PARTS, options, strict=True)]

    def blocks(self, architecture: Architecture) -> list[tuple[Place, Any, Any, Any, Any]]:
        """Place, operation, kernel, weight bits and activation bits of every block."""
        genotype: Any = architecture.genotype
        return [(place, *genotype[4 * i : 4 * i + 4]) for i, place in enumerate(self.places)]

    def canonical(self, genotype: tuple[Genotype, ...]) -> Genotype:
        """Kernel and bits of blocks that are left out become None."""
        groups = [genotype[i : i + 4] for i in range(0, len(genotype), 4)]
        return tuple([("skip", None, None, None) if group[0] == "skip" else group for group in groups])

    def graph(self, architecture: Architecture) -> Graph:
        """Convolutions with the shortcuts around them; labels say kernel and bits, such as `conv3_w4a2`."""
        labels, edges, last = ["input", "stem"], [(0, 1)], 1
        for place, operation, kernel, weight_bits, activation_bits in self.blocks(architecture):
            if operation == "skip":
                continue
            bits = "" if weight_bits is None else f"_w{weight_bits}a{activation_bits}"
            conv = len(labels)
            labels.append(f"conv{kernel}{bits}")
            edges.append((last, conv))
            around = last
            if not place.keeps:
                labels.append("shortcut")
                edges.append((last, conv + 1))
                around = conv + 1
            edges += [(conv, len(labels)), (around, len(labels))]
            labels.append("add")
            last = len(labels) - 1
        edges.append((last, len(labels)))
        return Graph((*labels, "output"), tuple(edges))

    def build(self, architecture: Architecture, task: Task) -> Any:
        """A `LayersNetwork`.

        Raises:
            SpecError: The inputs are no images.
        """
        from nasplug_darts_lp.spaces.layers.network import LayersNetwork

        return LayersNetwork(self, architecture, task.input_shape, task.outputs)

    def workload(self, architecture: Architecture, task: Task) -> Workload:
        """The layers of the network, with the bits of every one."""
        from nasplug_darts_lp.spaces.workload import layers_workload

        return layers_workload(self, architecture, task.input_shape, task.outputs)

    def supernet(self, input_shape: Sequence[int], outputs: int, options: SupernetOptions) -> Supernet:
        """All networks of the space in one."""
        from nasplug_darts_lp.spaces.layers.supernet import LayersSupernet

        return LayersSupernet(self, input_shape, outputs, options)


def check_kernels(kernels: Sequence[Any], where: str) -> None:
    """Refuses kernels that have no centre.

    Raises:
        SpecError: None is given, or one is even.
    """
    if not kernels or any(isinstance(k, bool) or not isinstance(k, int) or k < 1 or k % 2 == 0 for k in kernels):
        raise SpecError(f"kernels={list(kernels)}", where=where, fix="give odd sizes, such as [3, 5]")


def check_bits(weights: Sequence[Any], activations: Sequence[Any], fixed: Any, where: str) -> None:
    """Refuses bit widths out of range.

    Raises:
        SpecError: One is no whole number from 1 to 8, or only one of both lists is empty.
    """
    for value in (*weights, *activations, *(() if fixed is None else (fixed,))):
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 8:
            raise SpecError(f"{value!r} bits", where=where, why="quantisers have 1 to 8 bits")
    if bool(weights) != bool(activations):
        raise SpecError(
            "weights have bits to choose from and activations have none, or the other way round",
            where=where,
            fix="give both, or empty lists for floating point",
        )
