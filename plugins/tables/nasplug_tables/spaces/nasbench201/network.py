"""The network of NAS-Bench-201 around a cell, in torch.

A 3x3 convolution, then three stages of equal cells with 1, 2 and 4 times the channels; a residual block between stages
halves the image; the mean over the image feeds a linear layer. Source: Dong and Yang, "NAS-Bench-201: Extending the
Scope of Reproducible Neural Architecture Search" (ICLR 2020, arXiv 2001.00326), section 2.1, and the released code.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nasplug.contract.errors import SpaceError, did_you_mean
from nasplug.contract.wording import plural
from nasplug_tables.spaces.nasbench201.space import EDGES, OPERATIONS

STAGES = 3


def build_network(
    operations: Sequence[str], input_channels: int, outputs: int, *, channels: int = 16, cells: int = 5
) -> Network:
    """Builds the network of a cell with random weights; the defaults are the benchmark's.

    Args:
        operations: Names of the six operations, in the order of `EDGES`.
        input_channels: Channels of the images.
        outputs: Number of classes.
        channels: Channels of the first stage.
        cells: Cells per stage.

    Raises:
        SpaceError: Not six operations, an unknown one, or a size below one.
    """
    where = "network of nasbench201"
    if len(operations) != len(EDGES):
        raise SpaceError(f"expected a cell of {plural(len(EDGES), 'operation')}, got {len(operations)}", where=where)
    for name in operations:
        if name not in OPERATIONS:
            raise SpaceError(f"there is no operation {name!r}", where=where, fix=did_you_mean(str(name), OPERATIONS))
    for name, size in {"channels": channels, "cells": cells}.items():
        if size < 1:
            raise SpaceError(f"{name} is {size}", where=where, fix="give a size of at least 1")
    return Network(tuple(operations), input_channels, outputs, channels, cells)


class ReLUConvBN(nn.Sequential):
    """ReLU, convolution without bias, batch normalisation: (N, C, H, W) -> (N, out_channels, H / s, W / s)."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(out_channels),
        )


class CellNetwork(nn.Module):
    """One cell: (N, C, H, W) -> (N, C, H, W). A node is the sum of the operations on its incoming edges.

    All operations are built, also those that never reach the output: the benchmark counts their parameters. Edges with
    `none` are left out of the sums, and a node without any other edge is zero.
    """

    def __init__(self, operations: Sequence[str], channels: int) -> None:
        super().__init__()
        self.operations = nn.ModuleDict(
            {
                f"{source}->{target}": _operation(name, channels)
                for (source, target), name in zip(EDGES, operations, strict=True)
                if name != "none"
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        """Computes the last node."""
        nodes = [x]
        for node in range(1, 4):
            total = None
            for source in range(node):
                name = f"{source}->{node}"
                if name in self.operations:
                    value = self.operations[name](nodes[source])
                    total = value if total is None else total + value
            nodes.append(torch.zeros_like(x) if total is None else total)
        return nodes[-1]


class Reduction(nn.Module):
    """Residual block that halves the image and doubles the channels: (N, C, H, W) -> (N, 2 C, H / 2, W / 2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(ReLUConvBN(channels, 2 * channels, 3, 2), ReLUConvBN(2 * channels, 2 * channels, 3))
        # Odd sizes round up, as those of the branch do; even ones pool as in the benchmark.
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(channels, 2 * channels, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Adds the branch and the shortcut."""
        total: Tensor = self.shortcut(x) + self.branch(x)
        return total


class Network(nn.Module):
    """Stem, stages of cells and classifier: images (N, input_channels, H, W) -> logits (N, outputs).

    Attributes:
        features: Everything up to the last activation.
        classifier: The linear layer on the mean over the image.
    """

    def __init__(self, operations: Sequence[str], input_channels: int, outputs: int, channels: int, cells: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(input_channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        ]
        for stage in range(STAGES):
            if stage:
                layers.append(Reduction(channels << (stage - 1)))
            layers += [CellNetwork(operations, channels << stage) for _ in range(cells)]
        width = channels << (STAGES - 1)
        self.features = nn.Sequential(*layers, nn.BatchNorm2d(width), nn.ReLU())
        self.classifier = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Classifies a batch of images of any size."""
        logits: Tensor = self.classifier(self.features(x).mean(dim=(2, 3)))
        return logits


def _operation(name: str, channels: int) -> nn.Module:
    if name == "skip_connect":
        return nn.Identity()
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    return ReLUConvBN(channels, channels, 3 if name == "nor_conv_3x3" else 1)
