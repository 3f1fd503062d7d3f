"""What a genotype of the space `reduction` decides, choice by choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nasplug.contract.protocols import Choice
from nasplug.contract.records import Genotype
from nasplug_reduction.layout import BLOCK, WIDTH, inside
from nasplug_reduction.substitution import Substitutes

#: Beginnings of the names of choices: the kernel of a convolution, and what stands for it; the name of the resolution.
KERNEL, OPERATOR, RESOLUTION = "kernel:", "operator:", "resolution"
SEPARABLE, FULL = "separable", "full"


@dataclass(frozen=True)
class Decisions:
    """What is left of the original network.

    Attributes:
        widths: Number of channels of every group that there is, by name.
        dropped: Paths of the blocks that are passed by.
        kernels: Largest sides of the kernels that are cropped, by path.
        separable: Paths of the convolutions that a depthwise-separable pair stands for.
        resolution: Factor of the spatial axes of the input.
    """

    widths: Mapping[str, int]
    dropped: tuple[str, ...]
    kernels: Mapping[str, int]
    separable: tuple[str, ...]
    resolution: float


class Decider:
    """The choices of a space, and how its genotypes are read.

    Args:
        widths: Widths by channel group, ascending.
        blocks: Paths of the blocks that can be passed by.
        inner: Groups that live inside of a block alone, by its path.
        substitutes: Operators that may stand for convolutions.
        resolutions: Factors of the spatial axes, ascending, without the original one.
    """

    def __init__(
        self,
        widths: Mapping[str, Sequence[int]],
        blocks: Sequence[str],
        inner: Mapping[str, Sequence[str]],
        substitutes: Substitutes,
        resolutions: Sequence[float],
    ) -> None:
        self._groups, self._blocks, self._inner = tuple(widths), tuple(blocks), inner
        self._kernels = dict(substitutes.kernels)
        choices = [Choice(f"{WIDTH}{name}", tuple(options)) for name, options in widths.items()]
        choices += [Choice(f"{BLOCK}{path}", ("drop", "keep")) for path in blocks]
        choices += [Choice(f"{KERNEL}{path}", sides) for path, sides in self._kernels.items()]
        choices += [Choice(f"{OPERATOR}{path}", (SEPARABLE, FULL)) for path in substitutes.separable]
        if resolutions:
            choices.append(Choice(RESOLUTION, (*(float(share) for share in resolutions), 1.0)))
        self.choices = tuple(choices)
        self._position = {choice.name: position for position, choice in enumerate(choices)}
        self._separable = tuple(substitutes.separable)
        #: Paths of the convolutions that choices are about, by position.
        self._about = {
            position: name.partition(":")[2]
            for name, position in self._position.items()
            if name.startswith((KERNEL, OPERATOR))
        }

    def read(self, genotype: Genotype) -> Decisions:
        """Returns what a genotype decides; what lies inside of a block that is passed by is not there.

        Args:
            genotype: One value for each choice.
        """
        assert isinstance(genotype, tuple)
        dropped = tuple(path for path in self._blocks if genotype[self._position[f"{BLOCK}{path}"]] == "drop")
        gone = {name for path in dropped for name in self._inner[path]}
        pairs = zip(self._groups, genotype, strict=False)
        kernels = {}
        for path, sides in self._kernels.items():
            side = genotype[self._position[f"{KERNEL}{path}"]]
            if side != sides[-1] and not inside(f"{path}.", dropped):
                kernels[path] = int(side)  # type: ignore[arg-type]
        separable = tuple(
            path
            for path in self._separable
            if genotype[self._position[f"{OPERATOR}{path}"]] == SEPARABLE
            and kernels.get(path) != 1  # a pair that mixes channels twice
            and not inside(f"{path}.", dropped)
        )
        resolution = genotype[self._position[RESOLUTION]] if RESOLUTION in self._position else 1.0
        return Decisions(
            {name: int(width) for name, width in pairs if name not in gone},  # type: ignore[arg-type]
            dropped,
            kernels,
            separable,
            float(resolution),  # type: ignore[arg-type]
        )

    def canonical(self, genotype: tuple[Genotype, ...]) -> Genotype:
        """Leaves out what makes no difference: choices inside of blocks that are passed by, pairs of kernels of 1."""
        found = self.read(genotype)
        gone = {name for path in found.dropped for name in self._inner[path]}
        values: list[Genotype] = [
            None if position < len(self._groups) and self._groups[position] in gone else value
            for position, value in enumerate(genotype)
        ]
        for position, path in self._about.items():
            if inside(f"{path}.", found.dropped):
                values[position] = None
            elif genotype[position] == SEPARABLE and path not in found.separable:
                values[position] = FULL
        return tuple(values)

    def decides(self, position: int, genotype: Genotype) -> bool:
        """Whether a choice makes a difference to a network.

        Args:
            position: Position of the choice.
            genotype: The network.
        """
        found = self.read(genotype)
        if position < len(self._groups):
            return self._groups[position] in found.widths
        path = self._about.get(position)
        if path is None:
            return True
        of_pair = self.choices[position].name.startswith(OPERATOR)
        return not inside(f"{path}.", found.dropped) and not (of_pair and found.kernels.get(path) == 1)
