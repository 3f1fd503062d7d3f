"""The network that a Q-NAS chromosome stands for: a chain of functions and a linear head."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal, TypeAlias

from torch import Tensor, nn

from nasplug.contract.errors import SpecError
from nasplug.contract.wording import plural
from nasplug_qnas.functions import Function
from nasplug_qnas.networks.blocks import ConvBlock, ResidualV1, ResidualV1Pr, he_initialise

Head: TypeAlias = Literal["gap", "flatten"]

_LAYERS: dict[str, type[ConvBlock] | type[ResidualV1] | type[ResidualV1Pr]] = {
    "conv": ConvBlock,
    "bv1": ResidualV1,
    "bv1p": ResidualV1Pr,
}
_POOLS: dict[str, type[nn.MaxPool2d] | type[nn.AvgPool2d]] = {"max_pool": nn.MaxPool2d, "avg_pool": nn.AvgPool2d}


class ChainNetwork(nn.Module):
    """Functions in a row, then a classifier: (B, C, H, W) -> logits (B, num_classes).

    `no_op` nodes are left out. A pool whose window no longer fits the feature map is an identity. Fewer real layers
    than nodes, even none, make a valid network.

    The head is global average pooling by default: it takes any image size and cannot grow with it. Published Q-NAS
    flattens the feature map instead (`head="flatten"`), which the parameter counts in the literature refer to; a
    chain with few pools then has millions of head weights, or more than memory holds on large images.

    Args:
        functions: Names of functions, in order.
        input_shape: Channels, height and width of an image.
        num_classes: Number of classes.
        head: `"gap"` or `"flatten"`.
        he_bias: Draw biases like kernels, as published, instead of setting them to 0.
        max_head_weights: Largest weight matrix that a flattening head may have; the default, 2**26, is 256 MiB in
            float32 and admits every chain of the published sets on 32 x 32 images and 100 classes.
        norm_decay: Share of its running statistics that batch normalisation keeps in a step. Published: 0.99, with
            which the statistics of a training of fewer than some hundred steps stay far from those of the data.

    Attributes:
        functions: The functions that were asked for, `no_op` included.
        feature_shape: Channels, height and width that the head receives.

    Raises:
        SpecError: If a name, a shape or the head is not valid, or the flattening head would be too large.
    """

    def __init__(
        self,
        functions: Sequence[str],
        input_shape: Sequence[int],
        num_classes: int,
        head: Head = "gap",
        he_bias: bool = False,
        max_head_weights: int = 2**26,
        norm_decay: float = 0.9,
    ) -> None:
        super().__init__()
        if len(input_shape) != 3 or min(input_shape) < 1 or num_classes < 1:
            raise SpecError(
                f"a chain needs an input shape (channels, height, width) and at least one class, got "
                f"{tuple(input_shape)} and {num_classes}",
                where="ChainNetwork",
            )
        if not 0.0 <= norm_decay < 1.0:
            raise SpecError(f"norm_decay must be at least 0 and below 1, got {norm_decay!r}", where="ChainNetwork")
        if head not in ("gap", "flatten"):
            raise SpecError(f"head must be 'gap' or 'flatten', got {head!r}", where="ChainNetwork")
        self.functions = tuple(functions)
        shape = (int(input_shape[0]), int(input_shape[1]), int(input_shape[2]))
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for function in map(Function.parse, self.functions):
            if function.kind != "no_op":
                layer, shape = _layer(function, shape)
                layers[f"{len(layers)}_{function.name}"] = layer
        self.feature_shape = shape
        self.features = nn.Sequential(layers)
        channels, height, width = shape
        inputs = channels if head == "gap" else channels * height * width
        if head == "flatten" and inputs * num_classes > max_head_weights:
            raise SpecError(
                f"the flattening head would need {plural(inputs * num_classes, 'weight')}, "
                f"more than the {max_head_weights:,} allowed",
                where="ChainNetwork",
                why=f"the last feature map is {channels} x {height} x {width}, for {plural(num_classes, 'class')}",
                fix="use head='gap', chains with more pools, smaller images, or raise max_head_weights",
            )
        self.pool: nn.Module = nn.AdaptiveAvgPool2d(1) if head == "gap" else nn.Identity()
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(inputs, num_classes)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0 - norm_decay
        he_initialise(self, he_bias)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, num_classes) of images (B, C, H, W)."""
        logits: Tensor = self.classifier(self.flatten(self.pool(self.features(x))))
        return logits


def _layer(function: Function, shape: tuple[int, int, int]) -> tuple[nn.Module, tuple[int, int, int]]:
    """The module of one function on a feature map (C, H, W), and the shape that it gives."""
    channels, height, width = shape
    kernel, stride = function.kernel, function.stride
    if function.kind in _POOLS:
        if min(height, width) < kernel:
            return nn.Identity(), shape
        return _POOLS[function.kind](kernel, stride), (
            channels,
            (height - kernel) // stride + 1,
            (width - kernel) // stride + 1,
        )
    block = _LAYERS[function.kind](channels, function.filters, kernel, stride)
    return block, (block.out_channels, -(-height // stride), -(-width // stride))
