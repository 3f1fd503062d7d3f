"""Networks that reduce their input by a factor, for inputs of any size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class Padded(nn.Module):
    """Pads an input with zeros to sizes that a factor divides, and cuts the answer back.

    Args:
        network: Network from (N, C, *size) to (N, K, *size), or to a list of outputs of which each is as large as the
            input or smaller by an integer factor.
        factors: Number that must divide the size, for each axis.
    """

    def __init__(self, network: nn.Module, factors: Sequence[int]) -> None:
        super().__init__()
        self.network = network
        self.factors = tuple(factors)

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        """Logits (N, K, *size) of inputs (N, C, *size); in training perhaps a list of them."""
        size = x.shape[2:]
        pads = [-side % factor for side, factor in zip(size, self.factors, strict=True)]
        if any(pads):
            x = functional.pad(x, [amount for pad in reversed(pads) for amount in (0, pad)])
        answer = self.network(x)
        if isinstance(answer, (list, tuple)):
            return [_cut(each, size, x.shape[2:]) for each in answer]
        return _cut(answer, size, x.shape[2:])


def _cut(answer: Tensor, size: torch.Size, padded: torch.Size) -> Tensor:
    """The part of an answer that belongs to the input before it was padded."""
    if size == padded:
        return answer
    shares = [full // own for full, own in zip(padded, answer.shape[2:], strict=True)]
    wanted = [-(-side // share) for side, share in zip(size, shares, strict=True)]
    return answer[(slice(None), slice(None), *(slice(side) for side in wanted))]
