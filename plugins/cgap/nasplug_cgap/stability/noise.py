"""Accuracy under noise on the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from nasplug_cgap.stability.held_out import Batches, accuracy, judged


@dataclass(frozen=True, slots=True)
class NoiseResult:
    """What noise does to a network.

    Attributes:
        clean: Accuracy without noise.
        noisy: Accuracy of every draw.
    """

    clean: float
    noisy: tuple[float, ...]

    @property
    def drop(self) -> float:
        """Mean over draws of the absolute change of accuracy."""
        return sum(abs(self.clean - value) for value in self.noisy) / len(self.noisy)


@contextmanager
def noise(network: nn.Module, alpha: float, seed: int) -> Iterator[None]:
    """Adds `alpha` N(0, std(W)) to every weight tensor W of two dimensions or more, and takes it away again.

    The standard deviation is that of the tensor; biases and normalisation stay as they are.

    Args:
        network: Network, changed in place meanwhile.
        alpha: Size of the noise, relative to the deviation of each tensor.
        seed: Seed of the draw.
    """
    generator = torch.Generator().manual_seed(seed)
    weights = [parameter for parameter in network.parameters() if parameter.dim() > 1 and parameter.is_floating_point()]
    before = [weight.detach().clone() for weight in weights]
    try:
        with torch.no_grad():
            for weight in weights:
                drawn = torch.randn(weight.shape, generator=generator).to(weight)
                weight.add_(drawn * weight.std(), alpha=alpha)
        yield
    finally:
        with torch.no_grad():
            for weight, values in zip(weights, before, strict=True):
                weight.copy_(values)


def under_noise(network: nn.Module, batches: Batches, alpha: float, draws: int, seed: int = 0) -> NoiseResult:
    """Measures the accuracy of a network without noise and under several draws of it.

    Source: Du, Li, Seo, Liu, Cao, "Noise-Based Selection of Robust Inherited Model for Accurate Continual Learning",
    CVPR workshops 2020; the authors draw once.

    Args:
        network: Trained network; it is as before afterwards.
        batches: Held-out samples.
        alpha: Size of the noise.
        draws: Number of draws.
        seed: Seed of the draws, the same for all networks.
    """
    with judged(network):
        clean = accuracy(network, batches)
        noisy = []
        for draw in range(draws):
            with noise(network, alpha, 1000003 * seed + draw):
                noisy.append(accuracy(network, batches))
    return NoiseResult(clean, tuple(noisy))
