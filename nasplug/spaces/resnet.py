"""Residual networks: the space for images where nothing is known but their size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from nasplug.contract.choice import Choice
from nasplug.contract.errors import SpaceError
from nasplug.contract.records import Architecture
from nasplug.spaces.choices import ChoiceSpace
from nasplug.spaces.graph import Graph
from nasplug.spaces.images import ClassifiesImages

if TYPE_CHECKING:
    from torch import nn

    from nasplug.contract.protocols import Task


class ResNetSpace(ClassifiesImages, ChoiceSpace):
    """Residual networks from some ten thousand weights on: how small the image is made first, how wide, how deep.

    Each stage is twice as wide as the one before, on half the image. Most of the work of a network follows from `stems`
    and `widths`, so that they fit images of any size and machines of any speed.

    Example:
        >>> space = ResNetSpace(stems=[2, 4], widths=[16, 24, 32])

    Args:
        stems: Factors by which the first layers make the image smaller, to choose from: powers of two up to 32.
        widths: Channels of the first stage to choose from.
        stages: Numbers of stages to choose from.
        blocks: Numbers of blocks of each stage to choose from.
        dropouts: Probabilities of dropout before the last layer to choose from.

    Raises:
        SpaceError: A value is out of range.
    """

    def __init__(
        self,
        stems: Sequence[int] = (1, 2),
        widths: Sequence[int] = (8, 12, 16, 24, 32),
        stages: Sequence[int] = (3, 4),
        blocks: Sequence[int] = (1, 2),
        dropouts: Sequence[float] = (0.0,),
    ) -> None:
        _check("stems", stems, [1, 2, 4, 8, 16, 32])
        _check("widths", widths, range(1, 1025))
        _check("stages", stages, range(1, 7))
        _check("blocks", blocks, range(1, 33))
        if not dropouts or any(not 0.0 <= value < 1.0 for value in dropouts):
            raise SpaceError(f"dropouts must be from 0 to below 1, got {list(dropouts)}", where="space 'resnet'")
        super().__init__(
            "resnet",
            [
                Choice("stem", tuple(stems)),
                Choice("width", tuple(widths)),
                Choice("stages", tuple(stages)),
                Choice("blocks", tuple(blocks)),
                Choice("dropout", tuple(map(float, dropouts))),
            ],
        )

    def graph(self, architecture: Architecture) -> Graph:
        """The stem, and every block as a convolution with a shortcut around it."""
        stem, width, stages, blocks, _ = cast("tuple[int, int, int, int, float]", architecture.genotype)
        labels = ["input", f"conv /{stem} {width}"]
        edges = [(0, 1)]
        for stage in range(stages):
            for block in range(blocks):
                last = len(labels) - 1
                labels += [f"conv {'/2 ' if stage and not block else ''}{width << stage}", "add"]
                edges += [(last, last + 1), (last, last + 2), (last + 1, last + 2)]
        edges.append((len(labels) - 1, len(labels)))
        return Graph((*labels, "output"), tuple(edges))

    def build(self, architecture: Architecture, task: Task) -> nn.Module:
        """Builds the untrained network for the task's channels and outputs."""
        from nasplug.nn.resnet import resnet

        stem, width, stages, blocks, dropout = cast("tuple[int, int, int, int, float]", architecture.genotype)
        return resnet(
            task.input_shape[0], task.outputs, stem=stem, width=width, stages=stages, blocks=blocks, dropout=dropout
        )


def _check(name: str, values: Sequence[int], allowed: Sequence[int]) -> None:
    wrong = [value for value in values if isinstance(value, bool) or value not in allowed]
    if wrong or not values:
        words = str(list(allowed)) if isinstance(allowed, list) else f"from {allowed[0]} to {allowed[-1]}"
        raise SpaceError(f"{name} must be {words}, got {list(values)}", where="space 'resnet'")
