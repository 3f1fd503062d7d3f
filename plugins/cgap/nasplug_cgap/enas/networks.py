"""The blocks of ENAS-S, and networks of them."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from nasplug.nn.darts import FactorizedReduce
from nasplug_cgap.enas.plan import BOTTLENECK, DENSE_WIDTH, GROWTH, STEM, Step
from nasplug_cgap.networks import Block


class BlockNetwork(nn.Module):
    """A convolution, blocks, and a linear layer on all their outputs.

    Args:
        plan: Blocks in order.
        input_shape: Shape (C, H, W) of an image.
        outputs: Number of classes.
    """

    def __init__(self, plan: Iterable[Step], input_shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        channels, height, width = input_shape
        self.stem = nn.Sequential(nn.Conv2d(channels, STEM, 3, padding=1, bias=False), nn.BatchNorm2d(STEM), nn.ReLU())
        last, blocks = STEM, []
        for step in plan:
            blocks.append(make_block(step))
            last = step.outputs
            if step.stride == 2:
                height, width = -(-height // 2), -(-width // 2)
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(last * height * width, outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, outputs) of images (N, C, H, W)."""
        logits: Tensor = self.head(torch.flatten(self.blocks(self.stem(images)), 1))
        return logits


def make_block(step: Step) -> nn.Module:
    """Makes a block.

    Args:
        step: Kind, channels and stride.
    """
    if step.kind == "mbconv":
        return MBConv(step.inputs, step.outputs, step.stride)
    if step.kind == "resnet":
        return Block(step.inputs, step.outputs, step.stride, shortcut=True)
    if step.kind == "dense":
        return DenseBlock(step.inputs, step.stride)
    if step.kind == "identity":
        return nn.Identity() if step.stride == 1 else FactorizedReduce(step.inputs, step.outputs)
    pool = nn.AvgPool2d(3, step.stride, 1) if step.kind == "avgpool" else nn.MaxPool2d(3, step.stride, 1)
    return nn.Sequential(pool, nn.BatchNorm2d(step.outputs))


class MBConv(nn.Module):
    """The inverted residual of MobileNetV2 with twice as many channels inside.

    A shortcut stands around blocks of stride 1, with a 1 x 1 convolution where the width changes.

    Args:
        inputs: Number of input channels.
        outputs: Number of output channels.
        stride: Stride of the depthwise convolution.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        inner = 2 * inputs
        self.body = nn.Sequential(
            *(nn.Conv2d(inputs, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU()),
            *(nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False), nn.BatchNorm2d(inner), nn.ReLU()),
            *(nn.Conv2d(inner, outputs, 1, bias=False), nn.BatchNorm2d(outputs)),
        )
        self.shortcut: nn.Module | None = None
        if stride == 1:
            self.shortcut = nn.Identity()
            if inputs != outputs:
                self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, outputs, H / stride, W / stride) of features (N, inputs, H, W)."""
        result: Tensor = self.body(features)
        if self.shortcut is not None:
            result = result + self.shortcut(features)
        return result


class DenseBlock(nn.Module):
    """A convolution to 24 channels, two bottleneck layers of DenseNet that add 12 each, and a transition back to 24.

    Args:
        inputs: Number of input channels.
        stride: Stride of the first convolution.
    """

    def __init__(self, inputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(inputs, DENSE_WIDTH, 3, stride, 1, bias=False), nn.BatchNorm2d(DENSE_WIDTH), nn.ReLU()
        )
        inner = BOTTLENECK * GROWTH
        self.layers = nn.ModuleList(
            nn.Sequential(
                *(nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, inner, 1, bias=False)),
                *(nn.BatchNorm2d(inner), nn.ReLU(), nn.Conv2d(inner, GROWTH, 3, padding=1, bias=False)),
            )
            for width in (DENSE_WIDTH, DENSE_WIDTH + GROWTH)
        )
        wide = DENSE_WIDTH + 2 * GROWTH
        self.transition = nn.Sequential(nn.BatchNorm2d(wide), nn.ReLU(), nn.Conv2d(wide, DENSE_WIDTH, 1, bias=False))

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, 24, H / stride, W / stride) of features (N, inputs, H, W)."""
        features = self.first(features)
        for layer in self.layers:
            features = torch.cat([features, layer(features)], 1)
        result: Tensor = self.transition(features)
        return result
