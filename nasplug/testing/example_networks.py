"""Small networks of every kind of input, whose statistics are not those of new ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn


class Tokens(nn.Module):
    """Mean of embedded integers, then a linear layer.

    Args:
        width: Size of an embedding.
        outputs: Number of outputs.
    """

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(50, width), nn.Linear(width, outputs)

    def forward(self, tokens: Tensor) -> Tensor:
        """Outputs (N, outputs) of integers (N, 12)."""
        answer: Tensor = self.head(self.embedding(tokens).mean(1))
        return answer


class Named(nn.Module):
    """Two inputs by name.

    Args:
        width: Hidden width.
        outputs: Number of outputs.
    """

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(4, width), nn.Linear(5, width)
        self.head = nn.Linear(width, outputs)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """Outputs (N, outputs) of (N, 4) and (N, 5)."""
        answer: Tensor = self.head(torch.tanh(self.left(left) - self.right(right)))
        return answer


def _plain(width: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(6, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(), nn.Linear(width, outputs))


def _image(width: int, outputs: int) -> nn.Module:
    layers = [nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Dropout(), nn.Linear(width, outputs))


_MAKERS: Mapping[str, Callable[[int, int], nn.Module]] = {
    "plain": _plain,
    "image": _image,
    "tokens": Tokens,
    "named": Named,
}


def make(kind: str, width: int, outputs: int) -> nn.Module:
    """Returns a network, always the same one for the same arguments.

    Args:
        kind: `plain`, `image`, `tokens` or `named`.
        width: Hidden width.
        outputs: Number of outputs.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = _MAKERS[kind](width, outputs)
        for module in network.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                nn.init.uniform_(module.running_mean, -0.5, 0.5)  # type: ignore[arg-type]
                nn.init.uniform_(module.running_var, 0.5, 2.0)  # type: ignore[arg-type]
    return network
