"""Keeps weights inside a bound."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_lightning import Callback


class Wire(Callback):
    """Cuts all weights to [-bound, bound] after every step.

    Args:
        bound: Largest magnitude.
    """

    def __init__(self, bound: float = 0.5) -> None:
        self.bound = bound

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *args: Any, **kwargs: Any) -> None:
        """Cuts."""
        with torch.no_grad():
            for parameter in pl_module.parameters():
                parameter.clamp_(-self.bound, self.bound)
