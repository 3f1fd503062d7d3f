"""A U-Net whose every level may be of another kind."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nasplug.spaces.unet.blocks import Gate, Layers, block
from nasplug.spaces.unet.levels import Level


class UNet(nn.Module):
    """An encoder, a decoder and skips between them: (N, C, *size) -> logits (N, K, *size).

    Sizes must be divisible by the product of the strides. With deep supervision, training gives a list of logits of
    falling resolution.

    Args:
        levels: Levels, the finest first.
        channels: Channels of the input.
        classes: Number of classes.
        dimensions: 2 or 3.
        norm: Kind of normalisation.
        up: `transposed` convolutions or `resize` (linear interpolation and a convolution).
        deep: Whether to train with deep supervision.
    """

    def __init__(
        self,
        levels: Sequence[Level],
        channels: int,
        classes: int,
        dimensions: int,
        norm: str = "instance",
        up: str = "transposed",
        deep: bool = False,
    ) -> None:
        super().__init__()
        layers = Layers(dimensions, norm)
        self.deep = deep
        self.encoders, self.downs = nn.ModuleList(), nn.ModuleList()
        self.ups, self.gates, self.decoders = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        self.heads = nn.ModuleList()
        inputs = channels
        for depth, level in enumerate(levels):
            if depth == 0:
                first = [layers.unit(channels, level.width, level.kernel)]
            else:
                above = levels[depth - 1]
                self.downs.append(layers.unit(inputs, level.width, [3] * dimensions, above.stride))
                first = []
            blocks = [
                block(layers, level.encoder, level.width, level.width, level.kernel) for _ in range(level.repeats)
            ]
            self.encoders.append(nn.Sequential(*first, *blocks))
            inputs = level.width
        for level, below in itertools.pairwise(levels):
            self.ups.append(_up(layers, up, below.width, level.width, level.stride))
            self.gates.append(Gate(layers, level.width) if level.skip == "gate" else nn.Identity())
            joined = level.width if level.skip == "add" else 2 * level.width
            self.decoders.append(block(layers, level.decoder, joined, level.width, level.kernel))
        heads = max(1, len(levels) - 1) if deep else 1
        self.heads.extend(layers.convolution(level.width, classes, 1) for level in levels[:heads])
        self.skips = tuple(level.skip for level in levels[:-1])

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """Logits of images."""
        found: list[Tensor] = []
        for depth, encoder in enumerate(self.encoders):
            x = encoder(x if depth == 0 else self.downs[depth - 1](x))
            found.append(x)
        answers: list[Tensor] = [x]
        for depth in reversed(range(len(self.decoders))):
            raised, skip = self.ups[depth](x), found[depth]
            if self.skips[depth] == "gate":
                skip = self.gates[depth](skip, raised)
            joined = raised + skip if self.skips[depth] == "add" else torch.cat([raised, skip], 1)
            x = self.decoders[depth](joined)
            answers.insert(0, x)
        if self.deep and self.training:
            return [head(answer) for head, answer in zip(self.heads, answers, strict=False)]
        logits: Tensor = self.heads[0](x)
        return logits


def _up(layers: Layers, kind: str, inputs: int, outputs: int, stride: Sequence[int]) -> nn.Module:
    if kind == "transposed":
        made: nn.Module = layers.transposed(inputs, outputs, stride, stride, bias=False)
        return made
    mode = "bilinear" if layers.dimensions == 2 else "trilinear"
    scale = tuple(map(float, stride))
    return nn.Sequential(nn.Upsample(scale_factor=scale, mode=mode), layers.conv(inputs, outputs, layers.point()))
