"""The space of DiNTS: grids of cells between resolutions, as MONAI builds them."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nasplug.contract.errors import SpecError
from nasplug.contract.protocols import Choice, Task
from nasplug.contract.records import Architecture, Genotype
from nasplug.optional import require
from nasplug.spaces.choices import ChoiceSpace
from nasplug.spaces.medical import check_patches

if TYPE_CHECKING:
    from torch import nn

    from nasplug.contract.io import Inputs

#: Operations of a cell, in MONAI's order.
OPERATIONS = {
    2: ("skip", "conv_3x3"),
    3: ("skip", "conv_3x3x3", "conv_3x3x1", "conv_3x1x3", "conv_1x3x3"),
}
#: Channels at full resolution of a network of width 1.
_CHANNELS = 32


class DiNTSSpace(ChoiceSpace):
    """Networks for segmentation that go through a grid of resolutions, block by block.

    Between two blocks lie paths that keep, halve or double the resolution of a feature map. Every path may be there or
    not, and each that is there has one operation. Paths that begin where nothing arrives, or end where nothing goes on,
    are left out when a network is built; a block without any keeps its finest map. Different genotypes that leave the
    same paths are one architecture.

    Source: He et al., DiNTS, CVPR 2021, arXiv 2103.15954; the networks are those of `monai.networks.nets.DiNTS`.

    Args:
        dimensions: 2 for slices, 3 for volumes.
        blocks: Number of blocks; 12 as published.
        depth: Number of resolutions; 4 as published.
        width: Factor of the channels, which are 32 at full resolution with 1.

    Raises:
        SpecError: An argument is out of range.
    """

    produces = ("map", "volume")

    def __init__(self, dimensions: Literal[2, 3] = 3, blocks: int = 12, depth: int = 4, width: float = 1.0) -> None:
        if dimensions not in OPERATIONS or blocks < 1 or not 2 <= depth <= 4 or not 1 / _CHANNELS <= width <= 8:
            raise SpecError(
                f"dimensions={dimensions}, blocks={blocks}, depth={depth}, width={width}",
                where="space 'dints'",
                fix=f"take 2 or 3 dimensions, a block at least, 2 to 4 resolutions, and a width of 1/{_CHANNELS} to 8",
            )
        self.dimensions, self.blocks, self.depth, self.width = dimensions, blocks, depth, width
        #: Resolution at which each path of a block begins and ends, 0 the finest, in MONAI's order.
        self.paths = tuple(
            (begin, end) for end in range(depth) for begin in (end - 1, end, end + 1) if 0 <= begin < depth
        )
        operations = OPERATIONS[dimensions]
        choices = []
        for block in range(blocks):
            for begin, end in self.paths:
                name = f"{block}_{begin}to{end}"
                choices.append(Choice(f"path{name}", (False, True)))
                choices.append(Choice(f"operation{name}", operations, when={f"path{name}": [True]}))
        super().__init__("dints", choices)

    def operations(self, genotype: Sequence[Genotype]) -> list[list[str | None]]:
        """Returns the operation of each path of each block that a network is built with; None where there is none.

        Args:
            genotype: One value for each choice.
        """
        count = len(self.paths)
        made = [str(kind) if there else None for there, kind in zip(genotype[::2], genotype[1::2], strict=True)]
        chosen = [made[block * count : (block + 1) * count] for block in range(self.blocks)]
        arriving = set(range(self.depth))
        for paths in chosen:
            for path, (begin, _) in enumerate(self.paths):
                if begin not in arriving:
                    paths[path] = None
            if not any(paths):
                finest = min(arriving)
                paths[self.paths.index((finest, finest))] = OPERATIONS[self.dimensions][0]
            arriving = {end for path, (_, end) in enumerate(self.paths) if paths[path]}
        for paths, after in zip(reversed(chosen[:-1]), reversed(chosen[1:]), strict=True):
            wanted = {begin for path, (begin, _) in enumerate(self.paths) if after[path]}
            for path, (_, end) in enumerate(self.paths):
                if end not in wanted:
                    paths[path] = None
        return chosen

    def canonical(self, genotype: tuple[Genotype, ...]) -> Genotype:
        """The paths that are built, each with its operation."""
        return tuple(tuple(paths) for paths in self.operations(genotype))

    def label(self, architecture: Architecture) -> str:
        """The paths that are built, block by block: `0>1 conv_3x3, 1>1 skip | 1>0 skip`."""
        assert isinstance(architecture.genotype, tuple)
        blocks = self.operations(architecture.genotype)
        named = [
            [f"{begin}>{end} {kind}" for (begin, end), kind in zip(self.paths, block, strict=True) if kind]
            for block in blocks
        ]
        return " | ".join(", ".join(paths) for paths in named)

    def check_inputs(self, inputs: Inputs) -> None:
        """Refuses everything but one slice or volume of the space's dimensions.

        Raises:
            SpecError: The networks cannot take such inputs.
        """
        check_patches(inputs)
        if len(inputs.shape) != self.dimensions + 1:
            raise SpecError(
                f"the networks have {self.dimensions} dimensions, and the patches {len(inputs.shape) - 1}",
                where="space 'dints'",
                fix=f"write dimensions: {len(inputs.shape) - 1} for the space",
            )

    def build(self, architecture: Architecture, task: Task) -> nn.Module:
        """Builds the network for the task's channels and classes; patches of any size are padded."""
        import torch

        assert isinstance(architecture.genotype, tuple)
        codes = self.operations(architecture.genotype)
        names = OPERATIONS[self.dimensions]
        paths = np.array([[each is not None for each in block] for block in codes], np.float64)
        kinds = np.array([[names.index(each or names[0]) for each in block] for block in codes])
        nodes = torch.zeros(self.blocks + 1, self.depth)
        for block, row in enumerate(paths):
            for there, (begin, end) in zip(row, self.paths, strict=True):
                if there:
                    nodes[block, begin] = nodes[block + 1, end] = 1
        inner = self._grid("TopologyInstance", arch_code=[paths, kinds])
        return self._around(inner, task, nodes)

    def relaxed(self, task: Task) -> nn.Module:
        """See `nasplug.contract.protocols.Relaxes`: all paths with all operations, weighted."""
        return self._around(self._grid("TopologySearch"), task, None)

    def derived(self, network: nn.Module) -> Genotype:
        """See `nasplug.contract.protocols.Relaxes`: MONAI's shortest path through the grid."""
        padded: Any = network
        _, paths, kinds, _ = padded.network.dints_space.decode()
        genotype: list[Genotype] = []
        for there, kind in zip(paths.ravel(), kinds.ravel(), strict=True):
            genotype += [bool(there), OPERATIONS[self.dimensions][int(kind)] if there else None]
        return tuple(genotype)

    def _grid(self, kind: str, **code: Any) -> nn.Module:
        """MONAI's grid, without the line that it prints."""
        nets = require("monai.networks.nets.dints", extra="medical", purpose="build networks of DiNTS")
        with contextlib.redirect_stdout(io.StringIO()):
            grid: nn.Module = getattr(nets, kind)(
                channel_mul=self.width,
                num_blocks=self.blocks,
                num_depths=self.depth,
                spatial_dims=self.dimensions,
                use_downsample=True,
                **code,
            )
        return grid

    def _around(self, grid: nn.Module, task: Task, nodes: Any) -> nn.Module:
        from nasplug.nn.padded import Padded

        nets = require("monai.networks.nets.dints", extra="medical", purpose="build networks of DiNTS")
        network = nets.DiNTS(grid, task.input_shape[0], task.outputs, spatial_dims=self.dimensions, node_a=nodes)
        return Padded(network, [2**self.depth] * self.dimensions)
