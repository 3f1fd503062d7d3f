"""The space `cgap.resnet`: residual networks for small images, with and without shortcuts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from nasplug.contract.protocols import Choice
from nasplug.contract.records import Architecture
from nasplug.spaces.choices import ChoiceSpace
from nasplug.spaces.images import ClassifiesImages

if TYPE_CHECKING:
    from torch import nn

    from nasplug.contract.protocols import Task


class ResNetSpace(ClassifiesImages, ChoiceSpace):
    """Networks of three groups of residual blocks, 2 + 6 `blocks` layers deep.

    Each group is twice as wide as the one before, on half the image. They are the hand-made candidates of the
    publications: with `blocks` 3, 5 and 9 ResNet-20, 32 and 56, each with projection shortcuts or without any. The
    network of PST is `blocks` 5, `width` 30.

    Args:
        blocks: Numbers of blocks of each group to choose from.
        widths: Widths of the first group to choose from.
        shortcuts: Whether blocks have a shortcut, to choose from.
        stem_stride: Stride of the first layer; 2 divides all work by four.
    """

    def __init__(
        self,
        blocks: Sequence[int] = (1, 2, 3, 5),
        widths: Sequence[int] = (8, 16, 30),
        shortcuts: Sequence[bool] = (True, False),
        stem_stride: int = 1,
    ) -> None:
        super().__init__(
            "cgap.resnet",
            [
                Choice("blocks", tuple(blocks)),
                Choice("width", tuple(widths)),
                Choice("shortcuts", tuple(shortcuts)),
            ],
        )
        self.stem_stride = stem_stride

    def build(self, architecture: Architecture, task: Task) -> nn.Module:
        """Builds the untrained network."""
        from nasplug_cgap.networks import ResNet

        blocks, width, shortcuts = cast("tuple[int, int, bool]", architecture.genotype)
        return ResNet(
            task.input_shape[0],
            task.outputs,
            blocks=blocks,
            width=width,
            shortcuts=shortcuts,
            stem_stride=self.stem_stride,
        )
