"""Cells, their operations and the networks of them, for images (N, C, H, W).

Source: Liu, Simonyan and Yang, "DARTS", ICLR 2019, and its released code. Every convolution is preceded by a ReLU and
followed by normalisation, a separable one is applied twice. Pools are normalised as in the search of DARTS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasplug.contract.errors import SpecError
from nasplug.contract.records import Architecture
from nasplug_darts_lp.spaces.blocks import ConvNorm, Quantisers, conv2d, linear
from nasplug_darts_lp.spaces.cell.space import INPUTS, Edge

if TYPE_CHECKING:
    from nasplug_darts_lp.spaces.cell.space import CellSpace


@dataclass(frozen=True, slots=True)
class Precision:
    """Bits of what is no choice, and kinds of quantisers."""

    bits: int | None
    quantisers: Quantisers


class Separable(nn.Module):
    """ReLU, depthwise convolution, pointwise convolution, normalisation.

    Args:
        channels: In and out.
        kernel, stride, dilation: Of the depthwise convolution.
        edge: Gives the bits.
        quantisers: Their kinds.
    """

    def __init__(
        self, channels: int, kernel: int, stride: int, dilation: int, edge: Edge, quantisers: Quantisers
    ) -> None:
        super().__init__()
        self.depthwise = conv2d(
            channels,
            channels,
            kernel,
            stride,
            dilation=dilation,
            groups=channels,
            weight_bits=edge.weight_bits,
            activation_bits=edge.activation_bits,
            quantisers=quantisers,
        )
        self.pointwise = conv2d(
            channels,
            channels,
            1,
            weight_bits=edge.weight_bits,
            activation_bits=edge.activation_bits,
            quantisers=quantisers,
        )
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H / stride, W / stride)."""
        normal: Tensor = self.norm(self.pointwise(self.depthwise(F.relu(x))))
        return normal


class FactorizedReduce(nn.Module):
    """Halves the image by two 1x1 convolutions of stride 2, one of them on the image moved by a pixel.

    (N, inputs, H, W) -> (N, outputs, H / 2, W / 2), sizes rounded up; the moved image gets zeros where it ends.
    """

    def __init__(self, inputs: int, outputs: int, precision: Precision) -> None:
        super().__init__()
        bits, kinds = precision.bits, precision.quantisers
        half = outputs // 2

        def conv(channels: int) -> nn.Conv2d:
            return conv2d(inputs, channels, 1, 2, weight_bits=bits, activation_bits=bits, quantisers=kinds)

        self.straight = conv(outputs - half)
        self.moved = conv(half) if half else None
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Reduces a feature map."""
        x = F.relu(x)
        parts = [self.straight(x)]
        if self.moved is not None:
            height, width = x.shape[2:]
            parts.append(self.moved(F.pad(x, (0, width % 2, 0, height % 2))[:, :, 1:, 1:]))
        normal: Tensor = self.norm(torch.cat(parts, dim=1))
        return normal


def relu_conv(inputs: int, outputs: int, precision: Precision) -> nn.Sequential:
    """ReLU, 1x1 convolution, normalisation."""
    bits = precision.bits
    conv = conv2d(inputs, outputs, 1, weight_bits=bits, activation_bits=bits, quantisers=precision.quantisers)
    return nn.Sequential(nn.ReLU(), ConvNorm(conv))


def pool(name: str, channels: int, stride: int) -> nn.Sequential:
    """A 3x3 pool with normalisation."""
    window: nn.Module = nn.MaxPool2d(3, stride, 1)
    if name == "avg_pool_3x3":
        window = nn.AvgPool2d(3, stride, 1, count_include_pad=False)
    return nn.Sequential(window, nn.BatchNorm2d(channels, affine=False))


def operation(edge: Edge, channels: int, stride: int, precision: Precision) -> nn.Module:
    """The operation of an edge: (N, channels, H, W) -> (N, channels, H / stride, W / stride)."""
    name = edge.operation
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, precision)
    if name.endswith("pool_3x3"):
        return pool(name, channels, stride)
    kernel = int(name[-1])
    if name.startswith("dil_conv"):
        return nn.Sequential(Separable(channels, kernel, stride, 2, edge, precision.quantisers))
    return nn.Sequential(
        Separable(channels, kernel, stride, 1, edge, precision.quantisers),
        Separable(channels, kernel, 1, 1, edge, precision.quantisers),
    )


def prepare(before_last: int, last: int, channels: int, after_reduction: bool, precision: Precision) -> nn.ModuleList:
    """What brings the two inputs of a cell to its channels and size."""
    shrink = FactorizedReduce if after_reduction else relu_conv
    return nn.ModuleList([shrink(before_last, channels, precision), relu_conv(last, channels, precision)])


class Cell(nn.Module):
    """A cell: outputs of the last cell but one and of the last -> (N, nodes x channels, H, W).

    Args:
        edges: Two of every node.
        before_last, last: Channels of the two cells before.
        channels: Of every operation.
        reduction: Halve the image.
        after_reduction: The last cell halved it, so that the last but one is larger.
        precision: Of what is no choice.
    """

    def __init__(
        self,
        edges: Sequence[tuple[Edge, Edge]],
        before_last: int,
        last: int,
        channels: int,
        reduction: bool,
        after_reduction: bool,
        precision: Precision,
    ) -> None:
        super().__init__()
        self.sources = [[edge.source for edge in pair] for pair in edges]
        self.prepare = prepare(before_last, last, channels, after_reduction, precision)
        self.edges = nn.ModuleDict(
            {
                f"{edge.source}-{node}": operation(
                    edge, channels, 2 if reduction and edge.source < INPUTS else 1, precision
                )
                for node, pair in enumerate(edges, start=INPUTS)
                for edge in pair
            }
        )

    def forward(self, before_last: Tensor, last: Tensor) -> Tensor:
        """Computes the nodes in their order."""
        values = [prepare(x) for prepare, x in zip(self.prepare, (before_last, last), strict=True)]
        for node, pair in enumerate(self.sources, start=INPUTS):
            first, second = (self.edges[f"{source}-{node}"](values[source]) for source in pair)
            values.append(first + second)
        return torch.cat(values[INPUTS:], dim=1)


class CellNetwork(nn.Module):
    """A stem, cells and a classifier: (N, C, H, W) -> logits (N, outputs).

    Args:
        space: Gives the frame.
        architecture: Gives the cells.
        input_shape: (C, H, W).
        outputs: Number of classes.

    Raises:
        SpecError: The inputs are no images.
    """

    def __init__(self, space: CellSpace, architecture: Architecture, input_shape: Sequence[int], outputs: int) -> None:
        super().__init__()
        precision = precision_of(space)
        self.stem = make_stem(space, input_shape)
        self.cells = nn.ModuleList()
        for frame in frames(space):
            edges = space.cell(architecture.genotype, "reduction" if frame.reduction else "normal")
            self.cells.append(
                Cell(
                    edges,
                    frame.before_last,
                    frame.last,
                    frame.channels,
                    frame.reduction,
                    frame.after_reduction,
                    precision,
                )
            )
        self.classifier = linear(frame.channels * space.nodes, outputs, space.first_last_bits, precision.quantisers)

    def forward(self, x: Tensor) -> Tensor:
        """Classifies a batch of images."""
        before_last = last = self.stem(x)
        for cell in self.cells:
            before_last, last = last, cell(before_last, last)
        logits: Tensor = self.classifier(last.mean(dim=(2, 3)))
        return logits


@dataclass(frozen=True, slots=True)
class Frame:
    """Place of a cell: channels of the two before and of its operations, and whether it or the last one reduces."""

    before_last: int
    last: int
    channels: int
    reduction: bool
    after_reduction: bool


def frames(space: CellSpace) -> list[Frame]:
    """The places of all cells."""
    found: list[Frame] = []
    before_last = last = 3 * space.channels
    channels, reduced = space.channels, False
    for layer in range(space.layers):
        reduces = layer in space.reductions
        channels *= 2 if reduces else 1
        found.append(Frame(before_last, last, channels, reduces, reduced))
        before_last, last, reduced = last, channels * space.nodes, reduces
    return found


def precision_of(space: CellSpace) -> Precision:
    """Bits of what is no choice in a space."""
    return Precision(space.first_last_bits, Quantisers(space.activations, space.weights))


def make_stem(space: CellSpace, input_shape: Sequence[int]) -> ConvNorm:
    """The stem of network and supernet.

    Raises:
        SpecError: The inputs are no images.
    """
    if len(input_shape) != 3:
        raise SpecError(f"an input of shape {tuple(input_shape)} is no image", where="darts_lp.cell")
    bits, kinds = space.first_last_bits, Quantisers(space.activations, space.weights)
    return ConvNorm(
        conv2d(input_shape[0], 3 * space.channels, 3, weight_bits=bits, activation_bits=bits, quantisers=kinds)
    )
