"""The second-order gradient of the logits, by finite differences.

With xi the rate of the weights and w' = w - xi * (step on the training loss), the gradient of L_val(w', a) in a is

    grad_a L_val(w', a) - xi (grad_a L_train(w+, a) - grad_a L_train(w-, a)) / (2 eps),   w+- = w +- eps grad_w' L_val.

Source: Liu, Simonyan and Yang, "DARTS", ICLR 2019, equations 7 and 8; eps = 0.01 / |grad_w' L_val|.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from nasplug_darts_lp.supernet.base import Supernet
from nasplug_darts_lp.supernet.settings import SearchSettings


class Losses(Protocol):
    """What the gradient is made from; a `SupernetModule` has it.

    Attributes:
        supernet: Supernet that is trained.
        settings: Settings of the training.
        weight_optimizer: Optimiser of the weights.
    """

    supernet: Supernet
    settings: SearchSettings
    weight_optimizer: torch.optim.Optimizer

    def loss(self, batch: Any, batch_index: int) -> Tensor:
        """Computes the loss () of a batch, with newly sampled mixing weights."""

    def with_cost(self, loss: Tensor) -> Tensor:
        """Returns a loss with the cost of the last sample."""


def second_order(module: Losses, train: Any, held_out: Any, batch_index: int) -> None:
    """Puts the gradient into the logits' `grad`, and leaves weights and buffers as they were.

    All passes sample the same mixing weights.

    Args:
        module: Source of losses, parameters, and rate and momentum of the weights.
        train: Batch of the weights.
        held_out: Batch of the logits.
        batch_index: Index of both batches.
    """
    supernet = module.supernet
    weights, logits = supernet.network_parameters(), list(supernet.logits.parameters())
    state = torch.get_rng_state()
    buffers = [buffer.clone() for buffer in supernet.buffers()]
    rate = module.weight_optimizer.param_groups[0]["lr"]
    before = [weight.detach().clone() for weight in weights]

    def gradients(batch: Any, of: Sequence[Tensor], *, cost: bool = False) -> list[Tensor]:
        torch.set_rng_state(state)
        loss = module.loss(batch, batch_index)
        grads = torch.autograd.grad(module.with_cost(loss) if cost else loss, of, allow_unused=True)
        return [torch.zeros_like(p) if g is None else g for p, g in zip(of, grads, strict=True)]

    def move(values: Sequence[Tensor], step: Sequence[Tensor], factor: float) -> None:
        with torch.no_grad():
            for weight, value, change in zip(weights, values, step, strict=True):
                weight.copy_(value).add_(change, alpha=factor)

    move(before, _virtual_step(module, gradients(train, weights)), -rate)
    both = gradients(held_out, [*logits, *weights], cost=True)
    direct, towards = both[: len(logits)], both[len(logits) :]
    norm = torch.sqrt(sum((g.square().sum() for g in towards), torch.zeros((), device=towards[0].device)))
    eps = 0.01 / float(norm.clamp(min=1e-12))
    move(before, towards, eps)
    above = gradients(train, logits)
    move(before, towards, -eps)
    below = gradients(train, logits)
    move(before, towards, 0.0)
    with torch.no_grad():
        for buffer, value in zip(supernet.buffers(), buffers, strict=True):
            buffer.copy_(value)
    for parameter, now, high, low in zip(logits, direct, above, below, strict=True):
        parameter.grad = now - rate * (high - low) / (2.0 * eps)


def _virtual_step(module: Losses, gradient: Sequence[Tensor]) -> list[Tensor]:
    """Returns the optimiser's step of the weights per unit of the rate: gradient, decay and momentum of sgd."""
    settings, state = module.settings.training, module.weight_optimizer.state
    steps = []
    for weight, grad in zip(module.supernet.network_parameters(), gradient, strict=True):
        step = grad + settings.weight_decay * weight.detach()
        momentum = state[weight].get("momentum_buffer") if weight in state else None
        steps.append(step if momentum is None else step + settings.momentum * momentum)
    return steps
