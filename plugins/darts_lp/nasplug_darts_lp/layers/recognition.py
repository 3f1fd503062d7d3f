"""Tells whether a layer that comes from one of torch computes what that one does, by trying."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Inputs that are tried measure the window and so much more: remainders of strides differ.
_MARGINS = ((4, 5), (7, 6))


def recognise(layer: nn.Conv2d | nn.Linear) -> str | None:
    """What a convolution or a linear layer computes.

    Libraries derive layers of their own from those of torch: some for convenience, some to pad as TensorFlow does,
    some to compute something else. What a layer is called does not tell; what it answers does.

    Args:
        layer: Layer of torch, or of a class derived from one; neither lazy nor parametrised.

    Returns:
        `plain`: what torch computes; `same`: a convolution padded so that the output measures ceil(input / stride), the
        larger half at the bottom right; None: something else.
    """
    if type(layer) in (nn.Conv2d, nn.Linear):
        return "plain" if getattr(layer, "padding_mode", "zeros") == "zeros" else None
    if layer.weight.device.type == "meta":
        return None
    generator = torch.Generator().manual_seed(0)
    kinds = {"plain", "same"} if isinstance(layer, nn.Conv2d) else {"plain"}
    training = layer.training
    layer.eval()
    try:
        for margins in _MARGINS:
            inputs = torch.randn(_shape(layer, margins), generator=generator).to(layer.weight)
            with torch.no_grad():
                answer = layer(inputs)
                kinds = {kind for kind in kinds if _equal(answer, _expected(layer, inputs, kind))}
    except Exception:  # whatever it wants, it is not what its class says
        return None
    finally:
        layer.train(training)
    return "plain" if "plain" in kinds else next(iter(kinds), None)


def pad_same(inputs: Tensor, layer: nn.Conv2d) -> Tensor:
    """Pads (N, C, H, W) so that a convolution without padding gives ceil(H / stride) x ceil(W / stride)."""
    top, left, bottom, right = same_padding(layer, tuple(inputs.shape[2:]))
    return functional.pad(inputs, (left, right, top, bottom))


def same_padding(layer: nn.Conv2d, size: tuple[int, ...]) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) for inputs of a size (H, W)."""
    totals = [
        max((-(-measure // stride) - 1) * stride + dilation * (kernel - 1) + 1 - measure, 0)
        for measure, kernel, stride, dilation in zip(size, layer.kernel_size, layer.stride, layer.dilation, strict=True)
    ]
    top, left = (total // 2 for total in totals)
    return top, left, totals[0] - top, totals[1] - left


def _shape(layer: nn.Conv2d | nn.Linear, margins: tuple[int, int]) -> tuple[int, ...]:
    if isinstance(layer, nn.Linear):
        return margins[0], layer.in_features
    sides = [
        kernel * dilation + more
        for kernel, dilation, more in zip(layer.kernel_size, layer.dilation, margins, strict=True)
    ]
    return (1, layer.in_channels, *sides)


def _expected(layer: nn.Conv2d | nn.Linear, inputs: Tensor, kind: str) -> Tensor:
    if isinstance(layer, nn.Linear):
        return functional.linear(inputs, layer.weight, layer.bias)
    padding: str | tuple[int, ...] | int = layer.padding
    if kind == "same":
        inputs, padding = pad_same(inputs, layer), 0
    return functional.conv2d(inputs, layer.weight, layer.bias, layer.stride, padding, layer.dilation, layer.groups)


def _equal(answer: Tensor, expected: Tensor) -> bool:
    if answer.shape != expected.shape:
        return False
    return bool((answer - expected).abs().max() <= 1e-3 * expected.abs().max())
