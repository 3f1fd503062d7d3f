"""RMSProp with TensorFlow's arithmetic, which the published hyperparameter ranges of Q-NAS refer to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from nasplug_qnas.networks.adam_step import check_hyperparameters


class TFRMSprop(Optimizer):
    """RMSProp as ``tf.train.RMSPropOptimizer`` computes it.

    With s the mean square and m the momentum of a tensor::

        s = decay * s + (1 - decay) * g**2         s starts at 1, not at 0
        m = momentum * m + lr * g / sqrt(s + eps)  eps inside the root, lr inside the momentum
        w = w - m

    :class:`torch.optim.RMSprop` starts s at 0, adds eps outside the root and multiplies m by lr at the end. Its first
    steps are therefore larger by up to 1 / sqrt(1 - decay), and changes of lr act on the whole momentum at once.

    Args:
        params: Parameters or parameter groups.
        lr: Learning rate.
        decay: Decay of the mean square (``alpha`` in torch).
        momentum: Momentum.
        eps: Added to the mean square.
        weight_decay: L2 penalty, added to the gradient.

    Raises:
        ValueError: If a hyperparameter is out of range.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        decay: float = 0.9,
        momentum: float = 0.0,
        eps: float = 1e-10,
        weight_decay: float = 0.0,
    ) -> None:
        check_hyperparameters("TFRMSprop", lr, (decay, 0.0), momentum=momentum, eps=eps, weight_decay=weight_decay)
        defaults = {"lr": lr, "decay": decay, "momentum": momentum, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make one step.

        Args:
            closure: Evaluates the model again and returns the loss.

        Returns:
            What ``closure`` returned, or None.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                gradient, state = parameter.grad, self.state[parameter]
                if group["weight_decay"]:
                    gradient = gradient.add(parameter, alpha=group["weight_decay"])
                if not state:
                    state["mean_square"] = torch.ones_like(parameter, memory_format=torch.preserve_format)
                    state["momentum_buffer"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
                mean_square, buffer = state["mean_square"], state["momentum_buffer"]
                mean_square.mul_(group["decay"]).addcmul_(gradient, gradient, value=1.0 - group["decay"])
                buffer.mul_(group["momentum"])
                buffer.addcdiv_(gradient, (mean_square + group["eps"]).sqrt_(), value=float(group["lr"]))
                parameter.sub_(buffer)
        return loss
