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


def scale_gradient(value: Tensor, factor: float | Tensor) -> Tensor:
    """The value itself, with its gradient multiplied by `factor` (LSQ, arXiv 1902.08153, section 2.2)."""
    return stand_in(value * factor, value)
