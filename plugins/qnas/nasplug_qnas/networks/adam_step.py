"""The step of Adam, shared by the optimisers that begin as Adam and end as SGD."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def adam_step(
    state: dict[str, Any], gradient: Tensor, learning_rate: float, betas: tuple[float, float], eps: float
) -> Tensor:
    """Advances both moments by one step and returns the change of the weights that Adam makes.

    Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015, Algorithm 1; the same arithmetic as
    `torch.optim.Adam`.

    Args:
        state: State of the tensor; `step`, `exp_avg` and `exp_avg_sq` are made and advanced in place.
        gradient: Gradient, of any shape.
        learning_rate: Step size alpha.
        betas: Decays of the first and second moment.
        eps: Added to the root of the second moment.

    Returns:
        The tensor to add to the weights, of the shape of `gradient`.
    """
    if "step" not in state:
        state["step"] = 0
        state["exp_avg"] = torch.zeros_like(gradient, memory_format=torch.preserve_format)
        state["exp_avg_sq"] = torch.zeros_like(gradient, memory_format=torch.preserve_format)
    state["step"] += 1
    beta1, beta2 = betas
    state["exp_avg"].lerp_(gradient, 1.0 - beta1)
    state["exp_avg_sq"].mul_(beta2).addcmul_(gradient, gradient, value=1.0 - beta2)
    root = state["exp_avg_sq"].sqrt().div_((1.0 - beta2 ** state["step"]) ** 0.5).add_(eps)
    change: Tensor = (state["exp_avg"] / root).mul_(-learning_rate / (1.0 - beta1 ** state["step"]))
    return change


def check_hyperparameters(optimiser: str, lr: float, betas: tuple[float, float], **others: float) -> None:
    """Raises unless the learning rate and all others are not negative and the decays lie in [0, 1).

    Raises:
        ValueError: If one of them does not; the message names it.
    """
    for name, value in {"lr": lr, **others}.items():
        if not value >= 0.0:
            raise ValueError(f"{optimiser}: {name} must not be negative, got {value!r}.")
    if not all(0.0 <= beta < 1.0 for beta in betas):
        raise ValueError(f"{optimiser}: betas must lie in [0, 1), got {betas!r}.")
