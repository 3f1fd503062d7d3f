"""The networks of the layer-wise space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn

from nasplug.contract.errors import SpecError
from nasplug.contract.records import Architecture
from nasplug_darts_lp.spaces.blocks import ConvNorm, Quantisers, ResidualConv, Stem, conv2d, linear, shortcut

if TYPE_CHECKING:
    from nasplug_darts_lp.spaces.layers.space import LayersSpace


class LayersNetwork(nn.Module):
    """Stem, residual blocks, mean over the image, classifier: images (N, C, H, W) -> logits (N, outputs).

    Args:
        space: Gives the frame.
        architecture: Gives the blocks.
        input_shape: (C, H, W).
        outputs: Number of classes.

    Raises:
        SpecError: The inputs are no images.
    """

    def __init__(
        self, space: LayersSpace, architecture: Architecture, input_shape: Sequence[int], outputs: int
    ) -> None:
        super().__init__()
        quantisers = Quantisers(space.activations, space.weights)
        self.stem = make_stem(space, input_shape)
        blocks: list[nn.Module] = []
        for place, operation, kernel, weight_bits, activation_bits in space.blocks(architecture):
            if operation == "skip":
                blocks.append(nn.Identity())
                continue
            conv = conv2d(
                place.inputs,
                place.outputs,
                kernel,
                place.stride,
                weight_bits=weight_bits,
                activation_bits=activation_bits,
                quantisers=quantisers,
            )
            around = shortcut(place.inputs, place.outputs, place.stride, space.first_last_bits, quantisers)
            blocks.append(ResidualConv(ConvNorm(conv), around, place.outputs))
        self.blocks = nn.Sequential(*blocks)
        self.classifier = linear(space.layout.channels[-1], outputs, space.first_last_bits, quantisers)

    def forward(self, x: Tensor) -> Tensor:
        """Classifies a batch of images."""
        logits: Tensor = self.classifier(self.blocks(self.stem(x)).mean(dim=(2, 3)))
        return logits


def make_stem(space: LayersSpace, input_shape: Sequence[int]) -> Stem:
    """The stem of network and supernet.

    Raises:
        SpecError: The inputs are no images.
    """
    if len(input_shape) != 3:
        raise SpecError(f"an input of shape {tuple(input_shape)} is no image", where="darts_lp.layers")
    frame, bits = space.layout, space.first_last_bits
    conv = conv2d(
        input_shape[0],
        frame.channels[0],
        frame.stem_kernel,
        frame.stem_stride,
        weight_bits=bits,
        activation_bits=bits,
        quantisers=Quantisers(space.activations, space.weights),
    )
    return Stem(conv, frame.pool)
