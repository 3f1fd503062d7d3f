"""Adam with a switch to SGD at a step that is set by hand (an option of Enhanced Q-NAS; Noce, PUC-Rio, 2022)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from nasplug_qnas.networks.adam_step import adam_step, check_hyperparameters
from nasplug_qnas.networks.tensorwise import TensorwiseOptimizer


class AdamToSGD(TensorwiseOptimizer):
    """Adam for `switch_step` steps of each tensor, then SGD with momentum at `lr * lr_boost`.

    SGD starts with an empty momentum buffer: v = momentum * v + g, and the weights change by `-lr * lr_boost * v`.

    Args:
        params: Parameters or parameter groups.
        switch_step: Steps made with Adam; 0 is SGD from the start.
        lr: Learning rate of Adam.
        lr_boost: Factor from the learning rate of Adam to that of SGD, which needs larger ones.
        momentum: Momentum of the SGD phase.
        betas: Decays of Adam's moments.
        eps: Added to the root of the second moment.
        weight_decay: L2 penalty, added to the gradient.

    Raises:
        ValueError: If a hyperparameter is out of range.
    """

    def __init__(
        self,
        params: ParamsT,
        switch_step: int,
        lr: float = 1e-3,
        lr_boost: float = 10.0,
        momentum: float = 0.9,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        check_hyperparameters(
            "AdamToSGD",
            lr,
            betas,
            switch_step=switch_step,
            lr_boost=lr_boost,
            momentum=momentum,
            eps=eps,
            weight_decay=weight_decay,
        )
        defaults = {
            "lr": lr,
            "switch_step": switch_step,
            "lr_boost": lr_boost,
            "momentum": momentum,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
        }
        super().__init__(params, defaults)

    def advance(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        """Makes the step of one tensor: that of Adam before `switch_step`, of SGD after it."""
        if state.get("step", 0) < group["switch_step"]:
            parameter.add_(adam_step(state, gradient, float(group["lr"]), group["betas"], group["eps"]))
            return
        if "momentum_buffer" not in state:
            state.pop("exp_avg", None)
            state.pop("exp_avg_sq", None)
            state["momentum_buffer"] = torch.zeros_like(parameter)
        state["step"] = state.get("step", 0) + 1
        state["momentum_buffer"].mul_(group["momentum"]).add_(gradient)
        parameter.add_(state["momentum_buffer"], alpha=-float(group["lr"]) * group["lr_boost"])
