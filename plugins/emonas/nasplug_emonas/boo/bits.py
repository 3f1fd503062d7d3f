"""Weights as bit patterns, and the ones in them; exact, and vectorised in torch."""

from __future__ import annotations

import torch
from torch import Tensor

from nasplug.contract.errors import TrialError
from nasplug_emonas.boo.formats import BitFormat

_BLOCK = 1 << 15  # weights at a time: what is computed in between stays in the processor's cache


def popcount(patterns: Tensor) -> Tensor:
    """Number of one bits in the lower 32 bits of each integer.

    Adds neighbouring bits, then pairs, then groups of four, in all elements at once. Source: Warren, "Hacker's
    Delight", section 5-1.

    Args:
        patterns: int32, or int64 from 0 to 2**32 - 1; any shape.

    Returns:
        Counts from 0 to 32, in the type and shape of the argument.
    """
    x = patterns - ((patterns >> 1) & 0x55555555)
    x = (x & 0x33333333) + ((x >> 2) & 0x33333333)
    x = (x + (x >> 4)) & 0x0F0F0F0F
    x = x + (x >> 8)
    counts: Tensor = (x + (x >> 16)) & 0x3F
    return counts


def scale_of(weights: Tensor, form: BitFormat, axis: int = 0) -> Tensor:
    """What the integer 1 stands for: float64, of a shape that multiplies with the weights.

    Args:
        weights: Any shape.
        form: An `intN` or `Qm.n` format. The scale of `intN` lets the largest magnitude take the largest integer, and
            is 0 where all weights are.
        axis: Dimension of the output channels, for a scale per channel; tensors of one dimension have one scale.
    """
    if form.fraction is not None:
        return torch.tensor(2.0**-form.fraction, dtype=torch.float64, device=weights.device)
    magnitudes = weights.detach().abs().double()
    if form.per_channel and weights.dim() > 1:
        others = [dimension for dimension in range(weights.dim()) if dimension != axis]
        largest = magnitudes.amax(dim=others, keepdim=True)
    else:
        largest = magnitudes.max() if weights.numel() else magnitudes.new_zeros(())
    scale: Tensor = largest / (2 ** (form.bits - 1) - 1)
    return scale


def bounds(form: BitFormat) -> tuple[int, int]:
    """The smallest and the largest integer of an `intN` or `Qm.n` format.

    `intN` is symmetric; fixed point in two's complement has one more negative number.
    """
    largest = 2 ** (form.bits - 1) - 1
    lone = form.fraction is not None and form.code == "twos_complement"
    return (-largest - 1 if lone else -largest), largest


def encode(integers: Tensor, form: BitFormat) -> Tensor:
    """Bit patterns of integers within `bounds`; int64 for more than 16 bits."""
    if form.code == "sign_magnitude":
        sign: Tensor = (integers < 0).to(integers.dtype) << (form.bits - 1)
        return integers.abs() | sign
    pattern: Tensor = integers & (2**form.bits - 1)
    return pattern


def patterns_of(weights: Tensor, form: BitFormat, scale: Tensor | None = None) -> Tensor:
    """Bit patterns of weights in a format, rounded to nearest with ties to even.

    Args:
        weights: Real, any shape.
        form: The format.
        scale: Scale: the value that the integer 1 stands for; default: `scale_of` the weights.

    Returns:
        int32 integers of the same shape, or int64 ones from 0 to 2**32 - 1; both are what `popcount` takes.
    """
    weights = weights.detach()
    if form.name == "float32":
        return weights.float().contiguous().view(torch.int32)
    if form.is_float:
        kind = torch.float16 if form.name == "float16" else torch.bfloat16
        return weights.to(kind).contiguous().view(torch.int16).int() & 0xFFFF
    scale = scale_of(weights, form) if scale is None else scale
    steps = weights.double() / torch.where(scale > 0, scale, 1.0)  # weights without a scale are all 0
    return encode(steps.round_().clamp_(*bounds(form)).to(torch.int64 if form.bits > 16 else torch.int32), form)


def ones(weights: Tensor, form: BitFormat, axis: int = 0) -> int:
    """Number of one bits in a tensor of weights.

    Args:
        weights: Real or complex, any shape; complex numbers are two real ones.
        form: The format.
        axis: Dimension of the output channels; see `scale_of`.

    Raises:
        TrialError: A weight is not finite and the format has no pattern for that.
    """
    weights = weights.detach()
    if weights.is_complex():
        weights = torch.view_as_real(weights)
    if form.is_float:
        return sum([_total(block, form) for block in torch.split(weights.flatten(), _BLOCK)])
    if not bool(torch.isfinite(weights).all()):
        raise TrialError("nan", f"a weight is not finite, and {form.name} cannot say that", where="boo")
    scale = scale_of(weights, form, axis)
    if scale.dim() == 0:
        return sum([_total(block, form, scale) for block in torch.split(weights.flatten(), _BLOCK)])
    channels = zip(weights.unbind(axis), scale.unbind(axis), strict=True)
    return sum([_total(channel, form, one) for channel, one in channels])


def _total(weights: Tensor, form: BitFormat, scale: Tensor | None = None) -> int:
    return int(popcount(patterns_of(weights, form, scale)).sum(dtype=torch.int64))
