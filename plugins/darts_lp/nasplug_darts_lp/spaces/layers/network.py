"""The networks of the layer-wise space."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from nasplug.contract.records import Genotype
from nasplug_darts_lp.layers.build import conv2d, linear
from nasplug_darts_lp.spaces.blocks import ConvNorm, ResidualConv, Stem, shortcut
from nasplug_darts_lp.spaces.checks import check_image
from nasplug_darts_lp.spaces.layers.settings import LayerSettings


class LayersNetwork(nn.Module):
    """Stem, residual blocks, mean over the image, classifier: images (N, C, H, W) -> logits (N, outputs).

    Args:
        settings: Settings of the space.
        genotype: Genotype of the architecture.
        input_shape: Shape (C, H, W) of one image.
        outputs: Number of classes.

    Raises:
        SpecError: The inputs are not images.
    """

    def __init__(self, settings: LayerSettings, genotype: Genotype, input_shape: Sequence[int], outputs: int) -> None:
        super().__init__()
        fixed = settings.fixed
        self.stem = make_stem(settings, input_shape)
        blocks: list[nn.Module] = []
        for block in settings.blocks(genotype):
            shape = block.shape
            if block.operation == "skip":
                blocks.append(nn.Identity())
                continue
            precision = fixed.at(block.weight_bits, block.activation_bits)
            conv = conv2d(shape.inputs, shape.outputs, block.kernel, shape.stride, precision=precision)
            around = shortcut(shape.inputs, shape.outputs, shape.stride, fixed)
            blocks.append(ResidualConv(ConvNorm(conv), around, shape.outputs))
        self.blocks = nn.Sequential(*blocks)
        self.classifier = linear(settings.layout.channels[-1], outputs, fixed)

    def forward(self, x: Tensor) -> Tensor:
        """Classifies a batch of images."""
        logits: Tensor = self.classifier(self.blocks(self.stem(x)).mean(dim=(2, 3)))
        return logits


def make_stem(settings: LayerSettings, input_shape: Sequence[int]) -> Stem:
    """Makes the stem of network and supernet.

    Args:
        settings: Settings of the space.
        input_shape: Shape (C, H, W) of one image.

    Raises:
        SpecError: The inputs are not images.
    """
    check_image(input_shape, "darts_lp.layers")
    layout = settings.layout
    conv = conv2d(input_shape[0], layout.channels[0], layout.stem_kernel, layout.stem_stride, precision=settings.fixed)
    return Stem(conv, layout.pool)
