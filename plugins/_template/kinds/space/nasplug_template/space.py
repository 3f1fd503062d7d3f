"""Chains of convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import nasplug as nas
from nasplug.contract.errors import SpaceError
from nasplug.contract.io import Inputs, check_images

if TYPE_CHECKING:
    from torch import nn

    from nasplug.contract.protocols import Task
    from nasplug.contract.records import Genotype

#: What stands for a layer that is left out.
NONE = "none"


class Template(nas.ChoiceSpace):
    """Chains of convolutions, each of its own kernel, over a common width.

    A layer that is left out says nothing about the place where it would have been: chains are equal whose layers are,
    in order.

    Args:
        layers: Largest number of convolutions.
        widths: Numbers of channels to choose from.

    Raises:
        SpaceError: No layers, or a width below one.
    """

    #: A vector: one number for each class.
    produces = ("vector",)

    def __init__(self, layers: int = 3, widths: Sequence[int] = (8, 16, 32)) -> None:
        if layers < 1 or not widths or min(widths) < 1:
            raise SpaceError(f"layers {layers} and widths {list(widths)} are not networks", where="template")
        kinds = (NONE, "conv3", "conv5")
        super().__init__(
            "template",
            [nas.Choice("width", tuple(widths)), *(nas.Choice(f"layer{n}", kinds) for n in range(layers))],
        )

    def canonical(self, genotype: tuple[Genotype, ...]) -> Genotype:
        """The width, and the layers that are there."""
        return (genotype[0], *(layer for layer in genotype[1:] if layer != NONE))

    def check_inputs(self, inputs: Inputs) -> None:
        """Refuses everything but one image, before anything runs.

        Raises:
            SpecError: The task feeds something else.
        """
        check_images(inputs)

    def build(self, architecture: nas.Architecture, task: Task) -> nn.Module:
        """Builds the untrained network: images (N, channels, height, width) to numbers (N, outputs)."""
        from torch import nn

        made = self.active(architecture)
        width, channels = int(made.pop("width")), int(task.input_shape[0])
        parts: list[nn.Module] = []
        for layer in made.values():
            if layer == NONE:
                continue
            kernel = int(str(layer).removeprefix("conv"))
            parts += [nn.Conv2d(channels, width, kernel, padding="same"), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, task.outputs))
