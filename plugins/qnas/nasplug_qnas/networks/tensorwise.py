"""Optimisers that advance one tensor after the other, each by a state of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class TensorwiseOptimizer(Optimizer, ABC):
    """Base of optimisers that begin as Adam and change tensor by tensor.

    A subclass makes the step of one tensor in `advance`. The weight decay of the group, an L2 penalty, is already
    added to the gradient that it gets.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Makes one step.

        Args:
            closure: Callable that evaluates the model again and returns the loss.

        Returns:
            What `closure` returned, or None.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        left: list[Any] = []
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                gradient = parameter.grad
                if group["weight_decay"]:
                    gradient = gradient.add(parameter, alpha=group["weight_decay"])
                left.append(self.advance(parameter, gradient, group, self.state[parameter]))
        self.finish([item for item in left if item is not None])
        return loss

    @abstractmethod
    def advance(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any], state: dict[str, Any]) -> Any:
        """Makes the step of one tensor, in place.

        Args:
            parameter: Tensor to change, of any shape.
            gradient: Gradient with the weight decay, of the same shape.
            group: Hyperparameters.
            state: State of the tensor, changed in place.

        Returns:
            What `finish` needs to know of this tensor, or None.
        """

    def finish(self, left: list[Any]) -> None:
        """Does what is left when all tensors have made their step.

        Args:
            left: Values that `advance` returned, without None.
        """
