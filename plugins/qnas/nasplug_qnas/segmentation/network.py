"""The network of SegQNAS, for slices (B, C, H, W) or volumes (B, C, X, Y, Z). The one for volumes is our extension."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nasplug_qnas.segmentation.topology import Gene, Layer, decode

BN_MOMENTUM = 0.1
BN_EPS = 2e-5


class _Layers:
    """Layers of torch for 2 or 3 dimensions; convolutions keep the size and have no bias."""

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions
        flat = dimensions == 2
        self.convolution: Any = nn.Conv2d if flat else nn.Conv3d
        self.transposed: Any = nn.ConvTranspose2d if flat else nn.ConvTranspose3d
        self.norm: Any = nn.BatchNorm2d if flat else nn.BatchNorm3d

    def conv(self, inputs: int, outputs: int, kernel: int | Sequence[int], stride: int = 1) -> nn.Module:
        sides = [kernel] * self.dimensions if isinstance(kernel, int) else list(kernel)
        made: nn.Module = self.convolution(
            inputs, outputs, sides, stride, padding=[side // 2 for side in sides], bias=False
        )
        return made

    def up(self, inputs: int, outputs: int) -> nn.Module:
        made: nn.Module = self.transposed(inputs, outputs, 3, 2, padding=1, output_padding=1, bias=False)
        return made

    def bn(self, channels: int) -> nn.Module:
        made: nn.Module = self.norm(channels, eps=BN_EPS, momentum=BN_MOMENTUM)
        return made

    def conv_bn_relu(self, inputs: int, outputs: int, kernel: int) -> nn.Sequential:
        return nn.Sequential(self.conv(inputs, outputs, kernel), self.bn(outputs), nn.ReLU(inplace=True))


class _Residual(nn.Module):
    """Two convolutions and a shortcut, which is projected where the channels differ."""

    def __init__(self, layers: _Layers, inputs: int, width: int, kernel: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            layers.conv_bn_relu(inputs, width, kernel), layers.conv(width, width, kernel), layers.bn(width)
        )
        self.shortcut = nn.Identity() if inputs == width else layers.conv(inputs, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.branch(x) + self.shortcut(x))


class _Dense(nn.Module):
    """Two bottlenecks, each fed with everything before it; all is concatenated."""

    def __init__(self, layers: _Layers, inputs: int, width: int, kernel: int) -> None:
        super().__init__()
        self.first = self._bottleneck(layers, inputs, width, kernel)
        self.second = self._bottleneck(layers, inputs + width, width, kernel)

    @staticmethod
    def _bottleneck(layers: _Layers, inputs: int, width: int, kernel: int) -> nn.Sequential:
        return nn.Sequential(
            layers.bn(inputs),
            nn.ReLU(),
            layers.conv(inputs, width, 1),
            layers.bn(width),
            nn.ReLU(inplace=True),
            layers.conv(width, width, kernel),
        )

    def forward(self, x: Tensor) -> Tensor:
        both = torch.cat([x, self.first(x)], 1)
        return torch.cat([both, self.second(both)], 1)


class _Inception(nn.Module):
    """Four branches: 1 x 1; an average of neighbours; and one that ends in two flat windows across each other."""

    def __init__(self, layers: _Layers, inputs: int, width: int, kernel: int) -> None:
        super().__init__()
        self.dimensions = layers.dimensions
        self.point = layers.conv(inputs, width, 1)
        self.pooled = layers.conv(inputs, width, 1)
        self.wide = nn.Sequential(layers.conv(inputs, width, 1), layers.conv(width, width, kernel))
        rest = [kernel] * (layers.dimensions - 1)
        self.across = layers.conv(width, width, [1, *rest])
        self.along = layers.conv(width, width, [kernel, *[1] * (layers.dimensions - 1)])
        self.norm = layers.bn(4 * width)

    def forward(self, x: Tensor) -> Tensor:
        # At the far edges TensorFlow averages what is there; repeating the last value does the same.
        grown = F.pad(x, [0, 1] * self.dimensions, mode="replicate")
        pool = F.avg_pool2d(grown, 2, 1) if self.dimensions == 2 else F.avg_pool3d(grown, 2, 1)
        wide = self.wide(x)
        branches = [self.point(x), self.pooled(pool), self.across(wide), self.along(wide)]
        return F.relu(self.norm(torch.cat(branches, 1)))


class _CellNetwork(nn.Module):
    """One layer of the chain: merge, block, and a step down or up."""

    def __init__(self, layers: _Layers, layer: Layer) -> None:
        super().__init__()
        inputs, width = layer.inputs, layer.width
        self.merge: nn.Module | None = None
        if layer.skip is not None:
            self.merge = layers.conv_bn_relu(inputs + layer.skipped, width, 1)
            inputs = width
        self.block, outputs = _block(layers, layer.gene, inputs, width)
        self.step: nn.Module = nn.Identity()
        if layer.gene.cell != "n":
            down = layer.gene.cell == "d"
            step = layers.conv(outputs, width, 3, 2) if down else layers.up(outputs, width)
            self.step = nn.Sequential(step, layers.bn(width), nn.ReLU(inplace=True))

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        if self.merge is not None and skip is not None:
            x = self.merge(torch.cat([x, skip], 1))
        answer: Tensor = self.step(self.block(x))
        return answer


class SegNetwork(nn.Module):
    """A chain of cells between a stem and a classifier of every pixel: (B, C, *size) -> logits (B, K, *size).

    Inputs of any size: they are padded with zeros to a multiple of the largest reduction, and the answer is cut back.

    Args:
        genes: Genes of the genotype.
        channels: Channels of the input.
        classes: Number of classes.
        dimensions: 2 or 3.
        stem: Channels of the stem.
        published_output: Whether the last convolution has a kernel as large as the number of classes, as in the
            released code, which the published counts of parameters contain; otherwise 1.

    Attributes:
        layers: Layers that are built.
    """

    def __init__(
        self,
        genes: Sequence[Gene],
        channels: int,
        classes: int,
        dimensions: int = 2,
        stem: int = 16,
        published_output: bool = False,
    ) -> None:
        super().__init__()
        made = _Layers(dimensions)
        self.layers = decode(genes, stem)
        self.stem = made.conv_bn_relu(channels, stem, 3)
        self.cells = nn.ModuleList(_CellNetwork(made, layer) for layer in self.layers)
        last = self.layers[-1].outputs if self.layers else stem
        kernel = classes if published_output else 1
        self.classifier: nn.Module = made.convolution(last, classes, kernel, padding="same")
        self.factor = 2 ** max((layer.level for layer in self.layers), default=0)
        for module in self.modules():
            if isinstance(module, (made.convolution, made.transposed)) and module is not self.classifier:
                nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")  # He-uniform
        nn.init.xavier_uniform_(self.classifier.weight)  # Glorot
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of images."""
        size = x.shape[2:]
        pads = [-side % self.factor for side in size]
        if any(pads):
            x = F.pad(x, [amount for pad in reversed(pads) for amount in (0, pad)])
        stem = self.stem(x)
        outputs: list[Tensor] = []
        for layer, cell in zip(self.layers, self.cells, strict=True):
            source = stem if layer.source < 0 else outputs[layer.source]
            skip = None if layer.skip is None else stem if layer.skip < 0 else outputs[layer.skip]
            outputs.append(cell(source, skip))
        logits: Tensor = self.classifier(outputs[-1] if outputs else stem)
        if any(pads):
            logits = logits[(slice(None), slice(None), *(slice(side) for side in size))]
        return logits


def _block(layers: _Layers, gene: Gene, inputs: int, width: int) -> tuple[nn.Module, int]:
    """A block and its number of output channels."""
    kernel = gene.kernel
    if gene.block == "vgg":
        first = layers.conv_bn_relu(inputs, width, kernel)
        return nn.Sequential(first, layers.conv_bn_relu(width, width, kernel)), width
    if gene.block == "res":
        return _Residual(layers, inputs, width, kernel), width
    if gene.block == "den":
        return _Dense(layers, inputs, width, kernel), 2 * width + inputs
    if gene.block == "inc":
        return _Inception(layers, inputs, width, kernel), 4 * width
    return nn.Identity(), inputs
