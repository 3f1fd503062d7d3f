"""Networks whose quantisers are compared: a residual network of three stages, quantised in many ways."""

from __future__ import annotations

from typing import Any

import torch
from nasplug_darts_lp.layers.quantise import quantise
from torch import nn

#: Options of `quantise`, by the name of a row.
KINDS: dict[str, dict[str, Any]] = {
    "double_st": {},
    "double_st_sample": {"activations": "double_st", "squeeze": "sample"},
    "single_st": {},
    "threshold_st": {},
    "learnable": {},
    "fixed": {},
    "lsq": {},
    "lsq_weights": {"activations": "lsq", "weights": "lsq"},
    "pact": {},
}


class Block(nn.Module):
    """Two convolutions, with one shortcut around both or one around each."""

    def __init__(self, inputs: int, channels: int, stride: int, body: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.act1, self.act2 = (nn.ReLU() if body == "relu" else nn.PReLU(channels) for _ in range(2))
        self.each = body == "bireal"
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != channels:
            pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
            self.shortcut = nn.Sequential(pool, nn.Conv2d(inputs, channels, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images (N, C, H, W)."""
        short = self.shortcut(images)
        inner = self.bn1(self.conv1(images))
        inner = self.act1(inner + short if self.each else inner)
        return self.act2(self.bn2(self.conv2(inner)) + (inner if self.each else short))


def resnet(width: int, body: str, blocks: int, stem_stride: int) -> nn.Module:
    """Three stages; three blocks in each make a ResNet-20."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, stem_stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    channels = width
    for stage in range(3):
        for block in range(blocks):
            layers.append(Block(channels, width * 2**stage, 2 if stage and not block else 1, body))
            channels = width * 2**stage
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def brevitas_network(base: nn.Module, bits: int, statistics: int) -> nn.Module:
    """The same network with the layers of brevitas: learned scales, unsigned behind a ReLU and signed elsewhere.

    Weights have a scale per output channel with the least squared error.

    Args:
        base: Changed in place.
        bits: Bits of weights and inputs; the first and the last layer have 8.
        statistics: First steps of the training, in which brevitas sets the scales of activations from what it sees; it
            learns them afterwards. Its default is 300.
    """
    import brevitas.nn as qnn
    from brevitas.quant import Int8ActPerTensorFloat, Int8WeightPerChannelFloatMSE, Uint8ActPerTensorFloat

    convs = [(name, module) for name, module in base.named_modules() if isinstance(module, nn.Conv2d)]
    unsigned = not any(isinstance(module, nn.PReLU) for module in base.modules())
    common = {"weight_quant": Int8WeightPerChannelFloatMSE, "input_collect_stats_steps": statistics}
    for name, layer in convs:
        first = layer is convs[0][1]
        width = 8 if first else bits
        quantiser = Uint8ActPerTensorFloat if unsigned and not first else Int8ActPerTensorFloat
        options = {"weight_bit_width": width, "input_quant": quantiser, "input_bit_width": width, "bias": False}
        made = qnn.QuantConv2d(
            layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding, **common, **options
        )
        made.weight.data.copy_(layer.weight.data)
        parent, _, last = name.rpartition(".")
        setattr(base.get_submodule(parent), last, made)
    head = base[-1]
    base[-1] = qnn.QuantLinear(
        head.in_features,
        head.out_features,
        True,
        weight_bit_width=8,
        input_quant=Uint8ActPerTensorFloat,
        input_bit_width=8,
        **common,
    )
    base[-1].weight.data.copy_(head.weight.data)
    base[-1].bias.data.copy_(head.bias.data)
    return base


def quantised(base: nn.Module, kind: str, bits: int | None, statistics: int) -> nn.Module:
    """The network that is trained.

    Args:
        base: Network in floating point.
        kind: Name of a row: of `KINDS`, `float`, `pretrained` or `brevitas`.
        bits: Bits of weights and activations.
        statistics: See `brevitas_network`.
    """
    if kind in ("float", "pretrained") or bits is None:
        return base
    if kind == "brevitas":
        return brevitas_network(base, bits, statistics)
    options = {"activations": kind} | KINDS[kind]
    return quantise(base, weight_bits=bits, activation_bits=bits, **options)
