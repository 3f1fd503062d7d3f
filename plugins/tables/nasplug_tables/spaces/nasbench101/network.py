"""The network of NAS-Bench-101 around a cell, in torch.

A 3x3 convolution, then stacks of equal cells; between stacks 2x2 max-pooling halves the image and the next cell doubles
the channels; the mean over the image feeds a linear layer. Source: Ying et al., "NAS-Bench-101: Towards Reproducible
Neural Architecture Search" (ICML 2019, arXiv 1902.09635), section 2, and the released code.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nasplug.contract.errors import SpaceError
from nasplug.contract.wording import plural
from nasplug_tables.spaces.nasbench101.cells import OPERATIONS, Cell, prune, vertex_channels

BN_EPS = 1e-5
#: The benchmark keeps 0.997 of its running statistics per step, which torch calls a momentum of 0.003.
BN_MOMENTUM = 0.003


def build_network(
    cell: Cell,
    input_channels: int,
    outputs: int,
    *,
    channels: int = 128,
    stacks: int = 3,
    cells: int = 3,
) -> Network:
    """Builds the network of a cell with random weights; the defaults are the benchmark's.

    Args:
        cell: A pruned cell. Which vertices get a channel more, where channels do not divide evenly, follows the order
            of its vertices.
        input_channels: Channels of the images.
        outputs: Number of classes.
        channels: Channels of the first stack; every further one has twice as many.
        stacks: Number of stacks.
        cells: Cells per stack.

    Raises:
        SpaceError: A size below one, fewer channels than vertices that share them, or a cell that is not pruned.
    """
    where = "network of nasbench101"
    for name, size in {"channels": channels, "stacks": stacks, "cells": cells}.items():
        if size < 1:
            raise SpaceError(f"{name} is {size}", where=where, fix="give a size of at least 1")
    if prune(cell) != cell:
        raise SpaceError("the cell has vertices that are on no path from input to output", where=where, fix="prune it")
    sharing = (cell.sources(cell.vertices - 1) >> 1).bit_count()
    if channels < sharing:
        raise SpaceError(
            f"cannot share {plural(channels, 'channel')} among {plural(sharing, 'vertex', 'vertices')}",
            where=where,
            fix=f"give at least {plural(sharing, 'channel')}",
        )
    return Network(cell, input_channels, outputs, channels, stacks, cells)


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation with the benchmark's slow running statistics, which start as a plain mean over the batches.

    The benchmark's first statistics are 0 and 1, which after a hundred steps still count for three quarters: a network
    that is validated so early looks untrained. After 1 / 0.003 steps the average goes on as the benchmark's.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=BN_EPS, momentum=BN_MOMENTUM)
        self._settled = False

    def forward(self, x: Tensor) -> Tensor:
        """Normalises (N, C, H, W) over N, H and W."""
        if self.training and not self._settled:
            assert self.num_batches_tracked is not None
            share = 1 / (int(self.num_batches_tracked) + 1)
            self._settled = share <= BN_MOMENTUM
            self.momentum = max(share, BN_MOMENTUM)
        return super().forward(x)


class ConvBNReLU(nn.Sequential):
    """Convolution without bias, batch normalisation, ReLU: (N, C, H, W) -> (N, out_channels, H, W)."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        convolution = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False)
        # Normal with variance 1 / fan-in after cutting it at two standard deviations, as TensorFlow's default does.
        deviation = math.sqrt(1 / (in_channels * kernel * kernel)) / 0.87962566103423978
        nn.init.trunc_normal_(convolution.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
        super().__init__(convolution, BatchNorm(out_channels), nn.ReLU(inplace=True))


class CellNetwork(nn.Module):
    """One cell: (N, in_channels, H, W) -> (N, out_channels, H, W).

    What comes from the input vertex is projected by a 1x1 convolution, wherever it goes. Inputs of a vertex are added;
    a wider one loses its last channel. What goes to the output is concatenated, and the projected input added to it.
    """

    def __init__(self, cell: Cell, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.channels = vertex_channels(cell, in_channels, out_channels)
        last = cell.vertices - 1
        #: Inner vertices with an edge into each vertex.
        self.sources = [[x for x in range(1, y) if cell.sources(y) >> x & 1] for y in range(last + 1)]
        self.projections = nn.ModuleDict(
            {
                str(vertex): ConvBNReLU(in_channels, self.channels[vertex], 1)
                for vertex in range(1, last + 1)
                if cell.sources(vertex) & 1
            }
        )
        self.operations = nn.ModuleList(
            _operation(OPERATIONS[digit], self.channels[vertex])
            for vertex, digit in enumerate(cell.operations, start=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Computes the output vertex."""
        values = [x]
        for vertex, operation in enumerate(self.operations, start=1):
            width = self.channels[vertex]
            inputs = [values[source][:, :width] for source in self.sources[vertex]]
            values.append(operation(_total(inputs + self._projected(x, vertex))))
        last = len(values)
        joined = [torch.cat([values[source] for source in self.sources[last]], dim=1)] if self.sources[last] else []
        return _total(joined + self._projected(x, last))

    def _projected(self, x: Tensor, vertex: int) -> list[Tensor]:
        name = str(vertex)
        return [self.projections[name](x)] if name in self.projections else []


class Network(nn.Module):
    """Stem, stacks of cells and classifier: images (N, input_channels, H, W) -> logits (N, outputs).

    Attributes:
        features: Everything up to the last cell.
        classifier: The linear layer on the mean over the image.
    """

    def __init__(self, cell: Cell, input_channels: int, outputs: int, channels: int, stacks: int, cells: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [ConvBNReLU(input_channels, channels, 3)]
        width = channels
        for stack in range(stacks):
            if stack:
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
            for _ in range(cells):
                layers.append(CellNetwork(cell, width, channels << stack))
                width = channels << stack
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(width, outputs)
        nn.init.xavier_uniform_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Classifies a batch of images of any size."""
        logits: Tensor = self.classifier(self.features(x).mean(dim=(2, 3)))
        return logits


def _operation(name: str, channels: int) -> nn.Module:
    if name == "maxpool3x3":
        return nn.MaxPool2d(3, stride=1, padding=1)
    return ConvBNReLU(channels, channels, 3 if name == "conv3x3-bn-relu" else 1)


def _total(tensors: list[Tensor]) -> Tensor:
    total = tensors[0]
    for tensor in tensors[1:]:
        total = total + tensor
    return total
