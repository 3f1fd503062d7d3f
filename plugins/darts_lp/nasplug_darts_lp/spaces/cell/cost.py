"""What the edges of the cell supernet cost."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from nasplug.spaces.cells import CELLS, INPUTS
from nasplug_darts_lp.spaces.cell.edges import has_convolution
from nasplug_darts_lp.spaces.cell.settings import CellSettings
from nasplug_darts_lp.supernet.cost import FLOAT_BITS, ConvShape, CostModel

_REFERENCE_BITS = 8


class CellCost(nn.Module):
    """Costs of all candidates of all edges, summed over the cells of a kind, as shares of a reference.

    The reference is the network whose every edge has its most expensive operation on 8x8 bits. Pools and skips without
    a convolution cost nothing.

    Args:
        settings: Settings of the space.
        candidates: Names of the candidates of every edge.
        input_shape: Shape (C, H, W) of one image.
        outputs: Number of classes.
        model: Cost model of a convolution.
    """

    fixed: Tensor

    def __init__(
        self,
        settings: CellSettings,
        candidates: Sequence[str],
        input_shape: Sequence[int],
        outputs: int,
        model: CostModel,
    ) -> None:
        super().__init__()
        self.nodes = settings.nodes
        bits = settings.fixed_bits or FLOAT_BITS
        weight_bits = settings.weight_bits or (FLOAT_BITS,)
        activation_bits = settings.activation_bits or (FLOAT_BITS,)
        _, height, width = input_shape
        fixed = [ConvShape(input_shape[0], 3 * settings.channels, height, width)]
        tables: dict[tuple[str, int, int], Tensor] = {}
        reference = 0.0
        for frame in settings.frames():
            halved = -(-height // 2), -(-width // 2)
            # What prepares the inputs, at its own size: the last cell but one is larger where the last one reduced.
            stride = 2 if frame.after_reduction else 1
            fixed.append(ConvShape(frame.before_last, frame.channels, height * stride, width * stride, 1, stride))
            fixed.append(ConvShape(frame.last, frame.channels, height, width, 1))
            cell = frame.cell
            for node in range(INPUTS, settings.nodes + INPUTS):
                costs = []
                for source in range(node):
                    reduces = frame.reduction and source < INPUTS
                    size = (height, width) if reduces or not frame.reduction else halved
                    layers = [shapes(name, frame.channels, *size, 1 + reduces) for name in candidates]
                    table = torch.zeros(len(candidates), len(weight_bits), len(activation_bits))
                    for row, name in enumerate(candidates):
                        for column, depth in itertools.product(range(table.shape[1]), range(table.shape[2])):
                            pair = (weight_bits[column], activation_bits[depth])
                            pair = pair if has_convolution(name) else (bits, bits)
                            table[row, column, depth] = sum(model.cost(shape, *pair) for shape in layers[row])
                    key = (cell, source, node)
                    tables[key] = tables[key] + table if key in tables else table
                    eight = (_REFERENCE_BITS, _REFERENCE_BITS)
                    costs.append(max(sum(model.cost(shape, *eight) for shape in row) for row in layers))
                reference += sum(sorted(costs)[-2:])
            if frame.reduction:
                height, width = halved
        fixed.append(ConvShape(frame.channels * settings.nodes, outputs, 1, 1, 1))
        reference += sum(model.cost(shape, _REFERENCE_BITS, _REFERENCE_BITS) for shape in fixed)
        constant = sum(model.cost(shape, bits, bits) for shape in fixed)
        self.register_buffer("fixed", torch.tensor(constant / reference), persistent=False)
        for (cell, source, node), table in tables.items():
            self.register_buffer(f"{cell}_{source}_{node}", table / reference, persistent=False)

    def tables(self) -> Iterator[tuple[tuple[str, int, int], Tensor]]:
        """Cell, source and node of every edge with the costs (candidates, weight bits, activation bits)."""
        for cell in CELLS:
            for node in range(INPUTS, self.nodes + INPUTS):
                for source in range(node):
                    yield (cell, source, node), self.get_buffer(f"{cell}_{source}_{node}")


def shapes(name: str, channels: int, height: int, width: int, stride: int) -> list[ConvShape]:
    """The convolutions of an operation."""
    half = -(-height // stride), -(-width // stride)
    if name == "skip_connect" and stride == 2:
        return [ConvShape(channels, channels, height, width, 1, 2)]
    if not has_convolution(name):
        return []
    kernel = int(name[-1])
    dilation = 2 if name.startswith("dil") else 1
    first = [
        ConvShape(channels, channels, height, width, kernel, stride, dilation, channels),
        ConvShape(channels, channels, *half, 1),
    ]
    if dilation == 2:
        return first
    return [
        *first,
        ConvShape(channels, channels, *half, kernel, 1, 1, channels),
        ConvShape(channels, channels, *half, 1),
    ]
