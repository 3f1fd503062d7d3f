"""Gradients of functions that have none: forward is the staircase, backward is that of a smooth stand-in."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _StandIn(torch.autograd.Function):
    """Returns one tensor and hands the gradient to another."""

    generate_vmap_rule = True

    @staticmethod
    def forward(smooth: Tensor, hard: Tensor) -> Tensor:
        return hard.view_as(hard)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None]:
        return gradients[0], None


def stand_in(smooth: Tensor, hard: Tensor) -> Tensor:
    """The values of `hard`, to the last bit, with the gradient of `smooth`.

    Args:
        smooth: Any shape, part of the graph.
        hard: The same shape; its own gradient is not used.
    """
    result: Tensor = _StandIn.apply(smooth, hard.detach())
    return result


def quadratic_sign(values: Tensor) -> Tensor:
    """2v - v|v| inside [-1, 1], the sign outside: its derivative is 2 - 2|v|, and 0 outside.

    The stand-in of ReActNet (Liu et al., ECCV 2020, arXiv 2003.03488) for the sign function.
    """
    inside = values.clamp(-1, 1)
    return 2 * inside - inside * inside.abs()


def staircase(position: Tensor, steps: int, surrogate: str = "quadratic") -> Tensor:
    """Rounds a position on a staircase to a whole number from 0 to `steps`, halves upwards.

    Backward passes straight through between the lowest and the highest level. With a single step and
    `surrogate="quadratic"` it is that of :func:`quadratic_sign` over the same interval instead.

    Args:
        position: Any shape; the level i is met at i - 1/2 and above.
        steps: Number of steps, at least 1.
        surrogate: `quadratic` or `straight_through`.
    """
    inside = position.clamp(0, steps)
    hard = (inside + 0.5).floor().clamp(max=steps)
    if steps == 1 and surrogate == "quadratic":
        inside = quadratic_sign(2 * position - 1) / 2
    return stand_in(inside, hard)


def scale_gradient(value: Tensor, factor: float) -> Tensor:
    """The value itself, with its gradient multiplied by `factor` (LSQ, arXiv 1902.08153, section 2.2)."""
    return stand_in(value * factor, value)
