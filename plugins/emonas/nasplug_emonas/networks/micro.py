"""Networks of the micro space, for images (N, C, H, W).

Source: Lu et al., "NSGA-Net", GECCO 2019 (arXiv 1810.03522), and the released code, after DARTS.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from nasplug.contract.errors import SpecError
from nasplug.nn.darts import FactorizedReduce
from nasplug.spaces.cells import INPUTS, Frame, frames
from nasplug_emonas.cells import Cell, unused
from nasplug_emonas.networks.operations import operation, relu_conv_bn


class CellNetwork(nn.Module):
    """A cell: outputs of the last cell but one and of the last -> (N, width, H, W).

    Args:
        cell: Blocks of the cell.
        frame: Position of the cell in the network.

    Attributes:
        width: Channels of the output.
    """

    def __init__(self, cell: Cell, frame: Frame) -> None:
        super().__init__()
        channels = frame.channels
        self.cell, self.ends = cell, unused(cell)
        self.width = channels * len(self.ends)
        read = {source for block in cell for _, source in block}
        self.prepare = nn.ModuleDict()  # inputs that nothing reads are not prepared
        if 0 in read:
            shrink = FactorizedReduce if frame.after_reduction else relu_conv_bn
            self.prepare["0"] = shrink(frame.before_last, channels)
        if 1 in read:
            self.prepare["1"] = relu_conv_bn(frame.last, channels)
        self.operations = nn.ModuleList(
            operation(name, channels, 2 if frame.reduction and source < INPUTS else 1)
            for block in cell
            for name, source in block
        )

    def forward(self, before_last: Tensor, last: Tensor) -> Tensor:
        """Computes the blocks in their order."""
        values: dict[int, Tensor] = {}
        for index, given in enumerate((before_last, last)):
            if str(index) in self.prepare:
                values[index] = self.prepare[str(index)](given)
        operations = iter(self.operations)
        for index, ((_, first), (_, second)) in enumerate(self.cell, start=INPUTS):
            values[index] = next(operations)(values[first]) + next(operations)(values[second])
        return torch.cat([values[end] for end in self.ends], dim=1)

    def read(self, channels: Sequence[Sequence[int]]) -> dict[str, tuple[str, dict[int, Sequence[int]]]]:
        """Says which weights all networks of the space share: an operation on one input of one block is one.

        Args:
            channels: Channels that the two inputs of the cell have among those of cells of which every block is read.

        Returns:
            Name and positions by name of the parameter; see `nasplug.SharesWeights`.
        """
        found: dict[str, tuple[str, dict[int, Sequence[int]]]] = {}
        units = [(at, side, unit) for at, block in enumerate(self.cell) for side, unit in enumerate(block)]
        for (at, side, (name, source)), part in zip(units, self.operations, strict=True):
            for parameter, _ in part.named_parameters():
                place = f"blocks.{at}.{name}.of_{source}.{parameter}"
                found[f"operations.{2 * at + side}.{parameter}"] = place, {}
        for index, part in self.prepare.items():
            for parameter, values in part.named_parameters():
                if values.dim() > 1:  # a convolution, and not a normalisation
                    place = f"prepare.{index}.{parameter}"
                    found[place] = place, {1: channels[int(index)]}
        return found


class MicroNetwork(nn.Module):
    """A stem, cells and a classifier: (N, C, H, W) -> logits (N, outputs).

    Args:
        normal: The normal cell.
        reduction: The cell at one and two thirds of the depth.
        input_shape: Channels, height and width of an image.
        outputs: Number of classes.
        channels: Channels of the operations in the first cell.
        layers: Number of cells.
        increment: Added to the channels after every cell; None doubles them at the reductions.

    Raises:
        SpecError: The inputs are not images.
    """

    def __init__(
        self,
        normal: Cell,
        reduction: Cell,
        input_shape: Sequence[int],
        outputs: int,
        channels: int = 16,
        layers: int = 8,
        increment: int | None = None,
    ) -> None:
        super().__init__()
        if len(input_shape) != 3:
            raise SpecError(f"expected an image (C, H, W), got shape {tuple(input_shape)}", where="emonas.micro")
        width = 3 * channels
        self.stem = nn.Sequential(nn.Conv2d(input_shape[0], width, 3, padding=1, bias=False), nn.BatchNorm2d(width))
        self.cells = nn.ModuleList()
        for frame in frames(channels, layers, (len(unused(normal)), len(unused(reduction))), increment):
            cell = CellNetwork(reduction if frame.reduction else normal, frame)
            self.cells.append(cell)
            width = cell.width
        self.classifier = nn.Linear(width, outputs)

    def read(self) -> dict[str, tuple[str, dict[int, Sequence[int]]]]:
        """Says which weights all networks of the space share; see `nasplug.SharesWeights`."""
        stem: Any = self.stem[0]
        before_last = last = list(range(stem.out_channels))
        found: dict[str, tuple[str, dict[int, Sequence[int]]]] = {}
        for number, part in enumerate(self.cells):
            cell = cast("CellNetwork", part)
            for name, (place, positions) in cell.read((before_last, last)).items():
                found[f"cells.{number}.{name}"] = f"cells.{number}.{place}", positions
            each = cell.width // len(cell.ends)
            ends = [(end - INPUTS) * each + channel for end in cell.ends for channel in range(each)]
            before_last, last = last, ends
        found["classifier.weight"] = "classifier.weight", {1: last}
        return found

    def forward(self, x: Tensor) -> Tensor:
        """Classifies a batch of images."""
        before_last = last = self.stem(x)
        for cell in self.cells:
            before_last, last = last, cell(before_last, last)
        logits: Tensor = self.classifier(last.mean(dim=(2, 3)))
        return logits
