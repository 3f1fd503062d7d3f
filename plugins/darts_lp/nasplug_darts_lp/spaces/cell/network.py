"""The networks of the cell space, for images (N, C, H, W).

Source: Liu, Simonyan and Yang, "DARTS", ICLR 2019, and its released code.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nasplug.contract.records import Genotype
from nasplug.spaces.cells import INPUTS, Frame
from nasplug_darts_lp.layers.build import linear
from nasplug_darts_lp.layers.precision import Precision
from nasplug_darts_lp.spaces.cell.edges import Edge
from nasplug_darts_lp.spaces.cell.operations import make_stem, operation, prepare
from nasplug_darts_lp.spaces.cell.settings import CellSettings


class Cell(nn.Module):
    """A cell: outputs of the last cell but one and of the last -> (N, nodes x channels, H, W).

    Args:
        edges: Two edges of every node.
        frame: Position of the cell in the network.
        fixed: Precision of what is not a choice.
    """

    def __init__(self, edges: Sequence[tuple[Edge, Edge]], frame: Frame, fixed: Precision) -> None:
        super().__init__()
        self.sources = [[edge.source for edge in pair] for pair in edges]
        self.prepare = prepare(frame.before_last, frame.last, frame.channels, frame.after_reduction, fixed)
        self.edges = nn.ModuleDict(
            {
                f"{edge.source}-{node}": operation(
                    edge, frame.channels, 2 if frame.reduction and edge.source < INPUTS else 1, fixed
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
        settings: Settings of the space.
        genotype: Genotype of the architecture.
        input_shape: Shape (C, H, W) of one image.
        outputs: Number of classes.

    Raises:
        SpecError: The inputs are not images.
    """

    def __init__(self, settings: CellSettings, genotype: Genotype, input_shape: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.stem = make_stem(settings, input_shape)
        frames = settings.frames()
        self.cells = nn.ModuleList(Cell(settings.cell(genotype, frame.cell), frame, settings.fixed) for frame in frames)
        self.classifier = linear(frames[-1].channels * settings.nodes, outputs, settings.fixed)

    def forward(self, x: Tensor) -> Tensor:
        """Classifies a batch of images."""
        before_last = last = self.stem(x)
        for cell in self.cells:
            before_last, last = last, cell(before_last, last)
        logits: Tensor = self.classifier(last.mean(dim=(2, 3)))
        return logits
