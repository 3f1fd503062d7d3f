"""The staircase of a quantiser of activations, forward and backward as one operation.

Written as a sum of small operations, a quantiser keeps half a dozen tensors as large as its input for the backward
pass and reads memory more often than the convolution behind it. As one operation it keeps its input, which the layer
before holds anyway, and its output, which the convolution keeps anyway.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

#: How the gradient passes: `straight_through` between the lowest and the highest level; `quadratic` as the derivative
#: of ReActNet's stand-in for the sign, 2 - 2|v| over the interval |v| < 1 around a single threshold (arXiv 2003.03488);
#: `clip` like `straight_through`, but only numbers beyond the range move it (PACT, arXiv 1805.06085).
Gradient: TypeAlias = Literal["straight_through", "quadratic", "clip"]

#: What a position may lie beyond the range and still count as its end: more than rounding, and far less than a step.
_EDGE = 1e-4


class Stairs(NamedTuple):
    """Where levels lie.

    Attributes:
        steps: Number of thresholds, at least 1.
        zero_threshold: z, (), the level, not always whole, that is met where the moved input is 0.
        zero_level: y, (), the level, not always whole, whose value is 0.
        gradient: See `Gradient`.
    """

    steps: int
    zero_threshold: Tensor
    zero_level: Tensor
    gradient: Gradient


def staircase(inputs: Tensor, gain: Tensor, threshold: Tensor, step: Tensor, stairs: Stairs) -> Tensor:
    """Quantises: d (n - y) with n = round((g x - t) / d + z), halves upwards, from 0 to the number of steps.

    With the position p = (g x - t) / d + z and its slope s (1 or the derivative of the stand-in inside, 0 outside), the
    gradient is s (g dx + x dg - dt) + (n - y - s (p - z)) dd: for d that of LSQ (arXiv 1902.08153), or with `clip` only
    what lies outside, n - y.

    Args:
        inputs: x, float (N, C, ...).
        gain: g, broadcastable to x.
        threshold: t, broadcastable to x.
        step: d, (), positive.
        stairs: Positions of the levels.

    Returns:
        The shape of the inputs.
    """
    result: Tensor = _Staircase.apply(inputs, gain, threshold, step, stairs)
    return result


class _Staircase(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, gain: Tensor, threshold: Tensor, step: Tensor, stairs: Stairs) -> Tensor:
        level = _position(inputs, gain, threshold, step, stairs).add_(0.5).floor_().clamp_(0, stairs.steps)
        output = level.sub_(stairs.zero_level).mul_(step)
        ctx.save_for_backward(inputs, gain, threshold, step, output)
        ctx.stairs = stairs
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, gain, threshold, step, output = ctx.saved_tensors
        stairs: Stairs = ctx.stairs
        position = _position(inputs, gain, threshold, step, stairs)
        inner = _inner(gradient, position, stairs)
        needed = ctx.needs_input_grad
        to_step = None
        if needed[3]:
            if stairs.gradient == "clip":
                moves = (gradient - inner).mul_(output)
            else:
                moves = position.sub_(stairs.zero_threshold).mul_(inner).mul_(-step).addcmul_(gradient, output)
            to_step = moves.sum() / step
        to_threshold = inner.sum_to_size(threshold.shape).neg() if needed[2] else None
        to_gain = (inner * inputs).sum_to_size(gain.shape) if needed[1] else None
        return inner.mul_(gain) if needed[0] else None, to_gain, to_threshold, to_step, None


def _position(inputs: Tensor, gain: Tensor, threshold: Tensor, step: Tensor, stairs: Stairs) -> Tensor:
    """p, in memory of its own."""
    return torch.mul(inputs, gain / step).add_(stairs.zero_threshold - threshold / step)


def _inner(gradient: Tensor, position: Tensor, stairs: Stairs) -> Tensor:
    """The gradient times the slope at the position, in memory of its own."""
    if stairs.gradient == "quadratic":
        return (2 * position).sub_(1).abs_().mul_(-2).add_(2).clamp_(min=0).mul_(gradient)
    # Made of comparisons and a product this takes eight times as long. Both ends belong to the inside.
    inner: Tensor = torch.ops.aten.hardtanh_backward(gradient, position, -_EDGE, stairs.steps + _EDGE)
    return inner
