"""Residual networks for images of any size, from some ten thousand weights on."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut (He et al. 2016, Figure 2).

    The second normalisation begins at zero, so that a block begins as its shortcut (Goyal et al. 2017, section 5.1).
    Where the block changes the size, the shortcut pools before its 1 x 1 convolution (ResNet-D: He et al. 2019).

    Args:
        channels: Number of input channels.
        width: Number of output channels.
        stride: Stride of the first convolution, 1 or 2.
    """

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.act1, self.act2 = nn.ReLU(), nn.ReLU()
        shortcut: list[nn.Module] = []
        if stride > 1:
            shortcut.append(nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False))
        if stride > 1 or channels != width:
            shortcut += [nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width)]
        self.shortcut = nn.Sequential(*shortcut)
        nn.init.zeros_(self.norm2.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, `channels`, H, W) to (N, `width`, H / `stride`, W / `stride`), rounded up."""
        inner = self.norm2(self.conv2(self.act1(self.norm1(self.conv1(x)))))
        answer: Tensor = self.act2(inner + self.shortcut(x))
        return answer


def resnet(
    channels: int, outputs: int, *, stem: int, width: int, stages: int, blocks: int, dropout: float
) -> nn.Module:
    """Builds a network of `stages` stages, each twice as wide as the one before, on half the image.

    The stem is one 3 x 3 convolution, or one of stride 2 for each factor of two that it makes the image smaller by,
    narrow at first: many small convolutions in place of one large one (ResNet-C: He et al. 2019).

    Args:
        channels: Channels of an image.
        outputs: Number of outputs.
        stem: Factor by which the stem makes the image smaller, a power of two.
        width: Channels of the first stage.
        stages: Number of stages.
        blocks: Number of blocks of each stage.
        dropout: Probability of dropout before the last layer.

    Returns:
        A network from (N, `channels`, H, W) to (N, `outputs`).
    """
    halvings = stem.bit_length() - 1
    steps = max(1, halvings)
    first: list[nn.Module] = []
    before = channels
    for step in range(steps):
        after = max(4, width >> (steps - 1 - step)) if step < steps - 1 else width
        stride = 2 if halvings else 1
        first += [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        before = after
    groups: list[nn.Module] = []
    for stage in range(stages):
        group: list[nn.Module] = []
        for block in range(blocks):
            group.append(ResidualBlock(before, width << stage, 2 if stage and not block else 1))
            before = width << stage
        groups.append(nn.Sequential(*group))
    parts: dict[str, nn.Module] = {"stem": nn.Sequential(*first), "stages": nn.Sequential(*groups)}
    parts |= {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
    if dropout:
        parts["dropout"] = nn.Dropout(dropout)
    return nn.Sequential(OrderedDict(parts, head=nn.Linear(before, outputs)))
