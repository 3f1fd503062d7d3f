"""Weighted sums of candidates, with the readings of forward-and-backward scaling.

A candidate with a small weight gets small gradients, so whatever leads early keeps leading. Only the name of the
published remedy is known, "forward-and-backward scaling" (Wu, TU Dresden 2024, chapter 4.3.2); these are the readings
of it that we know of. With z the mixing weights, o the outputs, K candidates and sg the stop of the gradient:

* `none`: y = sum z_k o_k.
* `gradient`: y = sum z_k sg(o_k) + (o_k - sg(o_k)) / K. The forward value and dy/dz are those of `none`, and each
  candidate's own weights get the same part of the gradient.
* `normalise`: o_k is divided by its root mean square (a running mean) in the forward pass and multiplied by it in the
  backward pass, so that no candidate wins by its size while gradients of weights keep their scale.
* `importance`: for hard samples. The gradient of the sampled candidate is divided by its probability, at most by
  `floor`, so that all candidates get the same expected update.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import torch
from torch import Tensor, nn

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug_darts_lp.supernet.settings import Scaling


class WeightedSum(nn.Module):
    """Adds up the outputs of K candidates by their weights.

    Args:
        candidates: Number K of candidates.
        reading: Reading of the scaling; see the module.
        momentum: Momentum of the running root mean squares.
        floor: Smallest probability that a gradient is divided by, times K.

    Raises:
        SpecError: An unknown reading.
    """

    rms: Tensor

    def __init__(self, candidates: int, reading: Scaling = "none", momentum: float = 0.1, floor: float = 0.1) -> None:
        super().__init__()
        if reading not in get_args(Scaling):
            raise SpecError(
                f"unknown scaling {reading!r}", where="darts_lp", fix=did_you_mean(str(reading), get_args(Scaling))
            )
        self.reading, self.momentum, self.floor = reading, momentum, floor / candidates
        if reading == "normalise":
            self.register_buffer("rms", torch.zeros(candidates))

    def forward(self, outputs: Sequence[Tensor], weights: Tensor, probabilities: Tensor | None = None) -> Tensor:
        """Returns the weighted sum.

        Args:
            outputs: One tensor per candidate, all of one shape.
            weights: Mixing weights (K,).
            probabilities: Probabilities (K,) that the weights were sampled with, for `importance`; the weights by
                default.
        """
        if self.reading == "gradient":
            factor = 1.0 / len(outputs)
            outputs = [_scaled_gradient(o, factor, w) for o, w in zip(outputs, weights, strict=True)]
            return _sum(outputs)
        if self.reading == "normalise":
            outputs = [self._normalised(o, index) for index, o in enumerate(outputs)]
        elif self.reading == "importance":
            bounded = (weights if probabilities is None else probabilities).detach().clamp(min=self.floor)
            outputs = [o / p + (o - o / p).detach() for o, p in zip(outputs, bounded, strict=True)]
        return _sum([o * w for o, w in zip(outputs, weights, strict=True)])

    def _normalised(self, output: Tensor, index: int) -> Tensor:
        """The output by its root mean square forward, the unscaled gradient backward."""
        with torch.no_grad():
            if self.training:
                now = output.square().mean().sqrt()
                first = self.rms[index] == 0
                self.rms[index] = torch.where(first, now, torch.lerp(self.rms[index], now, self.momentum))
            divisor = torch.where(self.rms[index] > 0, self.rms[index], 1.0)
            shift = output / divisor - output
        return output + shift


def _scaled_gradient(output: Tensor, factor: float, weight: Tensor) -> Tensor:
    """Forward weight * output; backward `factor` to the output, and the exact gradient to the weight."""
    fixed = output.detach()
    return weight * fixed + factor * (output - fixed)


def _sum(terms: Sequence[Tensor]) -> Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
