"""SWATS: starts as Adam and switches each tensor to SGD by itself.

Keskar and Socher, "Improving generalization performance by switching from Adam to SGD", arXiv 1712.07628, Algorithm 1.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from nasplug_qnas.networks.adam_step import adam_step, check_hyperparameters
from nasplug_qnas.networks.tensorwise import TensorwiseOptimizer

#: Group and state of a tensor, and the products p.p and p.g of its Adam step.
_Products: TypeAlias = tuple[dict[str, Any], dict[str, Any], Tensor, Tensor]


class SWATS(TensorwiseOptimizer):
    """Adam that becomes SGD with momentum, tensor by tensor, once the fitting SGD learning rate has settled.

    For a tensor with gradient g and Adam step p at step k, gamma = p.p / (-p.g) is the learning rate at which SGD,
    projected on p, makes the same step. lambda is its exponential mean with decay beta2. The tensor switches when
    `|lambda / (1 - beta2**k) - gamma| < switch_tolerance` with k > 1 and a positive mean. From the next step on, with
    v = beta1 v + g, the weights change by `-(1 - beta1) * lambda / (1 - beta2**k) * v`.

    The paper applies the rule to all weights as one vector; per tensor, as here, is what implementations do. Where the
    learning rate of the group changes after the switch (a schedule), the SGD rate changes in the same proportion.

    Args:
        params: Parameters or parameter groups.
        lr: Learning rate of the Adam phase.
        betas: Decays of the moments; the first is also the momentum of the SGD phase.
        eps: Added to the root of the second moment.
        weight_decay: L2 penalty, added to the gradient.
        switch_tolerance: Largest difference at which the SGD rate counts as settled. The paper uses 1e-9, the Enhanced
            Q-NAS code 1e-5.

    Raises:
        ValueError: If a hyperparameter is out of range.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-9,
        weight_decay: float = 0.0,
        switch_tolerance: float = 1e-5,
    ) -> None:
        check_hyperparameters("SWATS", lr, betas, eps=eps, weight_decay=weight_decay, switch_tolerance=switch_tolerance)
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "switch_tolerance": switch_tolerance,
        }
        super().__init__(params, defaults)

    def advance(
        self, parameter: Tensor, gradient: Tensor, group: dict[str, Any], state: dict[str, Any]
    ) -> _Products | None:
        """Makes the step of one tensor; returns what decides whether the next one will be SGD's."""
        if state.get("sgd_rate") is not None:
            self._sgd(parameter, gradient, group, state)
            return None
        change = adam_step(state, gradient, float(group["lr"]), group["betas"], group["eps"])
        parameter.add_(change)
        return group, state, torch.sum(change * change), torch.sum(change * gradient)

    def finish(self, left: list[_Products]) -> None:
        """Switches the tensors whose rate has settled."""
        if not left:
            return
        # Read together after all Adam steps: one wait for the device per step, not one per tensor.
        device = left[0][2].device
        values = torch.stack([torch.stack([pp, pg]).double().to(device) for _, _, pp, pg in left]).tolist()
        for (group, state, _, _), (squared, along_gradient) in zip(left, values, strict=True):
            self._judge(group, state, squared, along_gradient)

    @staticmethod
    def _sgd(parameter: Tensor, gradient: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        state["momentum_buffer"].mul_(group["betas"][0]).add_(gradient)
        schedule = float(group["lr"]) / state["lr_at_switch"] if state["lr_at_switch"] else 1.0
        parameter.add_(state["momentum_buffer"], alpha=-(1.0 - group["betas"][0]) * state["sgd_rate"] * schedule)

    @staticmethod
    def _judge(group: dict[str, Any], state: dict[str, Any], squared: float, along_gradient: float) -> None:
        """Updates the mean SGD rate of one tensor and switches it if the rate has settled."""
        state.setdefault("rate_mean", 0.0)
        if along_gradient == 0.0:
            return
        beta2 = group["betas"][1]
        rate = squared / -along_gradient
        state["rate_mean"] = beta2 * state["rate_mean"] + (1.0 - beta2) * rate
        mean = state["rate_mean"] / (1.0 - beta2 ** state["step"])
        if state["step"] > 1 and mean > 0.0 and abs(mean - rate) < group["switch_tolerance"]:
            state["sgd_rate"], state["lr_at_switch"] = mean, float(group["lr"])
            state["momentum_buffer"] = torch.zeros_like(state["exp_avg"])
            # The moments are not needed any more.
            del state["exp_avg"], state["exp_avg_sq"]

    def switched(self) -> tuple[int, int]:
        """Number of tensors that run on SGD, and number of tensors that have made a step."""
        states = [state for state in self.state.values() if state]
        return sum(state.get("sgd_rate") is not None for state in states), len(states)
