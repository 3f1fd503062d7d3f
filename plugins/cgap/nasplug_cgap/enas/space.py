"""The space `cgap.blocks`: chains of blocks of several published families, of ENAS-S."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from nasplug.contract.errors import SpecError
from nasplug.contract.protocols import Choice
from nasplug.contract.records import Architecture, Genotype
from nasplug.spaces.choices import ChoiceSpace
from nasplug.spaces.graph import Graph
from nasplug.spaces.images import ClassifiesImages
from nasplug_cgap.enas.plan import INHERITING, KINDS, NORMAL, Kind, Step, steps, strides

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from nasplug.contract.protocols import Task
    from nasplug.workloads.workload import Workload


class BlockSpace(ClassifiesImages, ChoiceSpace):
    """Three modules of `depth` blocks, and a block that halves the image between them.

    Every position chooses a kind, `mbconv` (MobileNetV2, expansion 2), `resnet`, `dense` (DenseNet, growth 12) or
    `identity`, those that halve the image also `avgpool` and `maxpool`, and a width, which pooling and identity take
    from the block before and dense blocks set to 24. Widths that make no difference are left out of the key. A network
    drawn from the prior repeats the genes of its first module, and of its first reduction, in the others, and does not
    use the smallest width; mutations and crossover change single positions.

    Source: Du, Li, Sun, Liu, Cao, "Evolutionary NAS in Light of Model Stability for Accurate Continual Learning", IJCNN
    2021, and the authors' code; the number of blocks is theirs, widths are powers of two from 16 to 512.

    Args:
        depth: Number of blocks of a module.
        widths: Widths to choose from, ascending.
        tied: Whether drawn networks repeat the genes of the first module.

    Raises:
        SpecError: There are no blocks or widths.
    """

    def __init__(self, depth: int = 5, widths: Sequence[int] = (16, 32, 64, 128, 256, 512), tied: bool = True) -> None:
        if depth < 1 or not widths or min(widths) < 2:
            raise SpecError(
                f"expected a block or more and widths of 2 or more, got {depth} and {list(widths)}", where="cgap.blocks"
            )
        share = 1 / max(1, len(widths) - 1)
        weights = None if len(widths) == 1 else (0.0, *[share] * (len(widths) - 1))
        choices = []
        for index, stride in enumerate(strides(depth)):
            choices.append(Choice(f"block{index}", NORMAL if stride == 1 else KINDS))
            choices.append(Choice(f"width{index}", tuple(widths), weights))
        super().__init__("cgap.blocks", choices)
        self.depth, self.tied = depth, tied

    def canonical(self, genotype: tuple[Genotype, ...]) -> Genotype:
        """Leaves out widths that blocks ignore."""
        kinds, widths = genotype[::2], genotype[1::2]
        free = [kind not in INHERITING and kind != "dense" for kind in kinds]
        return tuple(
            part
            for kind, width, counts in zip(kinds, widths, free, strict=True)
            for part in (kind, width if counts else None)
        )

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Draws a network; if tied, its modules and its reductions are alike."""
        drawn = super().sample(rng)
        if not self.tied:
            return drawn
        genes = self.vector(drawn)
        module = genes[: 2 * self.depth]
        reduction = genes[2 * self.depth : 2 * self.depth + 2]
        return self.from_vector((*module, *reduction, *module, *reduction, *module))

    def plan(self, architecture: Architecture) -> list[Step]:
        """Returns the blocks of a network.

        Args:
            architecture: Architecture of this space.
        """
        genotype = cast("tuple[Kind | int, ...]", architecture.genotype)
        kinds, widths = cast("tuple[Kind, ...]", genotype[::2]), cast("tuple[int, ...]", genotype[1::2])
        return list(steps(kinds, widths, self.depth))

    def build(self, architecture: Architecture, task: Task) -> nn.Module:
        """Builds the untrained network."""
        from nasplug_cgap.enas.networks import BlockNetwork

        return BlockNetwork(self.plan(architecture), task.input_shape, task.outputs)

    def graph(self, architecture: Architecture) -> Graph:
        """The chain of blocks with their widths."""
        return Graph.chain(
            tuple(f"{step.kind}{'/2' if step.stride == 2 else ''}:{step.outputs}" for step in self.plan(architecture))
        )

    def workload(self, architecture: Architecture, task: Task) -> Workload:
        """The layers of the network, without building it."""
        from nasplug_cgap.enas.workload import block_workload

        return block_workload(self.plan(architecture), task.input_shape, task.outputs)

    def label(self, architecture: Architecture) -> str:
        """The blocks with their widths, modules apart."""
        plan = self.plan(architecture)
        words = [f"{step.kind}{step.outputs}" for step in plan]
        first, second = self.depth, 2 * self.depth + 1
        parts = [words[:first], [words[first]], words[first + 1 : second], [words[second]], words[second + 1 :]]
        return " | ".join(" ".join(part) for part in parts)
