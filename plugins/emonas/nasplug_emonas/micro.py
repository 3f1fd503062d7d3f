"""The micro search space: the two cells of a NASNet. Torch only to build."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import SpaceError, SpecError
from nasplug.contract.protocols import Choice, Task
from nasplug.contract.records import Architecture, Genotype
from nasplug.contract.wording import plural
from nasplug.spaces.cells import CELLS, INPUTS, cells_graph
from nasplug.spaces.choices import ChoiceSpace
from nasplug.spaces.graph import Graph
from nasplug.spaces.images import ClassifiesImages
from nasplug_emonas.cells import BLOCKS, OPERATIONS, Cell, canonical, unused

if TYPE_CHECKING:
    from torch import nn

    from nasplug.workloads.workload import Workload


class MicroSpace(ClassifiesImages, ChoiceSpace):
    """Networks of a normal and a reduction cell, the micro space of NSGA-Net after NASNet and DARTS.

    A cell has five blocks; each adds two operations, of nine, on the outputs of the two cells before or of earlier
    blocks. Blocks that no block reads are concatenated. These are 40 choices, and 3.3e30 genotypes; those that build
    the same network have the same key. Cells at one and two thirds of the depth reduce the image and widen it.

    Sources: Lu et al., "NSGA-Net", GECCO 2019 (arXiv 1810.03522), and the released code; Zoph et al., CVPR 2018; Liu
    et al., "DARTS", ICLR 2019. Auxiliary classifier, drop path and squeeze-and-excitation, which NSGA-Net adds to the
    final training, are left out.

    Args:
        channels: Channels of every operation in the first cell; the stem has three times as many. NSGA-Net searched
            with 16; processors without a GPU are served better by 4.
        layers: Number of cells, at least 3; NSGA-Net searched with 8 and trained 20.
        increment: Widen by so many channels in every cell, instead of doubling at the reductions. NSGA-Net's final
            networks have 34 channels and an increment of 4.

    Raises:
        SpecError: Too few cells or channels.
    """

    def __init__(self, channels: int = 16, layers: int = 8, increment: int | None = None) -> None:
        if channels < 1 or layers < 3 or (increment is not None and increment < 0):
            raise SpecError(
                f"channels={channels}, layers={layers} and increment={increment} do not make a network",
                where="space 'emonas.micro'",
                fix="give 1 channel and 3 layers or more: a normal cell and two reductions",
            )
        self.channels, self.layers, self.increment = channels, layers, increment
        choices = []
        for cell in CELLS:
            for block in range(BLOCKS):
                sources = tuple(range(block + INPUTS))
                for side in "ab":
                    choices.append(Choice(f"{cell}{block}_op_{side}", OPERATIONS))
                    choices.append(Choice(f"{cell}{block}_input_{side}", sources))
        super().__init__("emonas.micro", choices)

    def cells(self, genotype: Any) -> tuple[Cell, Cell]:
        """The normal and the reduction cell in their canonical form, which is what is built."""
        blocks = [
            ((genotype[i], genotype[i + 1]), (genotype[i + 2], genotype[i + 3])) for i in range(0, len(genotype), 4)
        ]
        return canonical(tuple(blocks[:BLOCKS])), canonical(tuple(blocks[BLOCKS:]))

    def canonical(self, genotype: tuple[Genotype, ...]) -> Genotype:
        """Both cells."""
        return self.cells(genotype)

    def graph(self, architecture: Architecture) -> Graph:
        """Both cells in a row, with `cell_input` (last cell but one, last cell), operations, `add` and `concat`."""
        cells = self.cells(architecture.genotype)
        return cells_graph(
            ([[(source, operation) for operation, source in block] for block in cell], unused(cell)) for cell in cells
        )

    def build(self, architecture: Architecture, task: Task) -> Any:
        """A `nasplug_emonas.networks.micro.MicroNetwork`: images (N, *task.input_shape) to logits.

        Raises:
            SpecError: The inputs are not images.
        """
        from nasplug_emonas.networks.micro import MicroNetwork

        normal, reduction = self.cells(architecture.genotype)
        return MicroNetwork(
            normal, reduction, task.input_shape, task.outputs, self.channels, self.layers, self.increment
        )

    def shared(self, architecture: Architecture, network: nn.Module) -> dict[str, tuple[str, dict[int, Sequence[int]]]]:
        """An operation on one input of one block is one in all networks; see `nasplug.SharesWeights`."""
        built: Any = network
        found: dict[str, tuple[str, dict[int, Sequence[int]]]] = built.read()
        return found

    def workload(self, architecture: Architecture, task: Task) -> Workload:
        """The layers of the network, from the cells alone.

        Raises:
            SpecError: The inputs are not images.
        """
        from nasplug_emonas.workloads.micro import micro_workload

        normal, reduction = self.cells(architecture.genotype)
        return micro_workload(
            normal, reduction, task.input_shape, task.outputs, self.channels, self.layers, self.increment
        )

    def parse(self, normal: Sequence[Sequence[Any]], reduction: Sequence[Sequence[Any]]) -> Architecture:
        """Reads cells in the notation of DARTS: ten pairs (operation, input), two after each other making a block.

        Raises:
            SpaceError: Another notation, or operations that are not in the space.
        """
        for name, cell in zip(CELLS, (normal, reduction), strict=True):
            if len(cell) != 2 * BLOCKS:
                raise SpaceError(
                    f"the {name} cell has {plural(len(cell), 'unit')}",
                    where="space 'emonas.micro'",
                    fix=f"give {2 * BLOCKS}",
                )
        return self.architecture([item for unit in (*normal, *reduction) for item in unit])
