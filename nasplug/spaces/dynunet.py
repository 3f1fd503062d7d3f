"""The outputs of MONAI's DynUNet as a list."""

from __future__ import annotations

from torch import Tensor, nn


class Supervised(nn.Module):
    """Takes the outputs of deep supervision apart, which DynUNet stacks in training.

    Args:
        network: A DynUNet.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """Logits (N, K, *size); in training with deep supervision a list of them, all of that size."""
        answer: Tensor = self.network(x)
        return list(answer.unbind(1)) if answer.ndim == x.ndim + 1 else answer
