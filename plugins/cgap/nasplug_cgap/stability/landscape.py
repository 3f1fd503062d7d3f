"""The loss around the trained weights: a surface over two random directions, and how far it is from a bowl."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nasplug_cgap.stability.held_out import Batches, judged, loss

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Landscape:
    """Losses on a square grid around the trained weights.

    Attributes:
        steps: Coordinates along either direction (P,), in units of the directions.
        losses: Mean loss at every point (P, P); the first index is the first direction.
    """

    steps: Floats
    losses: Floats

    def roughness(self, drop: float = 0.0) -> float:
        """Returns the mean squared error of the least-squares fit z = a x^2 + b y^2 + c x + d y + e.

        Args:
            drop: Fraction of the points, those of lowest loss, that are left out of the fit.
        """
        return roughness(*self._points(drop))

    def _points(self, drop: float) -> tuple[Floats, Floats, Floats]:
        x, y = np.meshgrid(self.steps, self.steps, indexing="ij")
        rows = np.stack([x.ravel(), y.ravel(), self.losses.ravel()])
        kept = np.argsort(rows[2], kind="stable")[int(drop * rows.shape[1]) :]
        return rows[0, kept], rows[1, kept], rows[2, kept]


def roughness(x: Floats, y: Floats, z: Floats) -> float:
    """Returns the mean squared error of the least-squares fit z = a x^2 + b y^2 + c x + d y + e.

    Args:
        x: First coordinate of every point (P,).
        y: Second coordinate (P,).
        z: Loss (P,).
    """
    terms = np.stack([x**2, y**2, x, y, np.ones_like(x)], axis=1)
    fit, *_ = np.linalg.lstsq(terms, z, rcond=None)
    return float(np.mean((terms @ fit - z) ** 2))


def landscape(
    network: nn.Module, batches: Batches, *, points: int = 9, radius: float = 1.0, seed: int = 0
) -> Landscape:
    """Measures the loss on a grid around the weights of a network.

    Directions are Gaussian, and every filter or row of them has the norm of that of the weights; biases and
    normalisation stay as they are. Source: Li, Xu, Taylor, Studer, Goldstein, "Visualizing the Loss Landscape of Neural
    Nets", NeurIPS 2018.

    Args:
        network: Trained network; it is as before afterwards.
        batches: Held-out samples.
        points: Number of points along either direction.
        radius: Largest step along a direction; at 1, the step is as long as the weights.
        seed: Seed of the directions.
    """
    generator = torch.Generator().manual_seed(seed)
    weights = [parameter for parameter in network.parameters() if parameter.dim() > 1 and parameter.is_floating_point()]
    before = [weight.detach().clone() for weight in weights]
    first, second = ([_direction(weight, generator) for weight in before] for _ in range(2))
    steps = np.linspace(-radius, radius, points)
    losses = np.empty((points, points))
    with judged(network):
        try:
            for i, a in enumerate(steps):
                for j, b in enumerate(steps):
                    for weight, values, u, v in zip(weights, before, first, second, strict=True):
                        weight.copy_(values + float(a) * u + float(b) * v)
                    losses[i, j] = loss(network, batches)
        finally:
            for weight, values in zip(weights, before, strict=True):
                weight.copy_(values)
    return Landscape(steps, losses)


def _direction(weight: Tensor, generator: torch.Generator) -> Tensor:
    drawn = torch.randn(weight.shape, generator=generator).to(weight)
    dims = tuple(range(1, weight.dim()))
    norms = torch.linalg.vector_norm(weight, dim=dims, keepdim=True)
    direction: Tensor = drawn * norms / torch.linalg.vector_norm(drawn, dim=dims, keepdim=True).clamp_min(1e-10)
    return direction
