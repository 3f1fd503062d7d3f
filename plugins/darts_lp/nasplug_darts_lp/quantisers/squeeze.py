"""Squeeze-and-threshold: an attention block that adjusts features and learns where to cut them.

The publications (Wu, Waschneck and Mayr, EANN 2021; Wu et al., arXiv 2209.15317; Wu, thesis, TU Dresden 2024) were
read as abstracts only. Those fix that attention adjusts features to their ranges and learns thresholds, that a momentum
replaces the block in inference, and that activations of 1 bit and of more bits are quantised alike, before the
convolution. The equations here are a reading that does all of this; each open choice is an option.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nasplug.contract.errors import SpecError
from nasplug_darts_lp.quantisers.base import ActivationQuantiser, one_of, per_channel
from nasplug_darts_lp.quantisers.gradients import scale_gradient

STAGES = ("double", "single", "threshold")


class SqueezeThreshold(ActivationQuantiser):
    """Gain and threshold of every channel from the means of the channels.

    With s the means, phi two-layer perceptrons, t0 learnable per channel and R learnable per tensor:

        g = 2 sigmoid(phi_g(s)),   t = t0 + rho tanh(phi_t(s')),   level = staircase of g x - t over R.

    `double` squeezes twice: s' are the means of the adjusted features g x, which are g s. `single` squeezes once, s'
    = s. `threshold` has no gain. The last layers start at zero, so that the block starts neutral: g = 1, t = t0.

    Training uses the live g and t. Inference uses their moving averages, so that the perceptrons are dead code and
    the quantiser is its thresholds (t + ...) / g, which `nasplug_darts_lp.layers.quantise.freeze` leaves alone.

    Args:
        bits: 1 to 8.
        channels: C.
        stages: `double`, `single` or `threshold`.
        squeeze: `batch`: means over batch and positions, one threshold for all images of a batch, as batch
            normalisation does; or `sample`: over positions, each image has its own while training.
        momentum: Weight of the new value in the moving averages.
        rho: Largest distance by which the perceptron can move a threshold, in units of the input.
        reduction: Channels per hidden unit, of which there are at least 8; None means 4 below 128 channels, and 16 from
            there on.
        **options: Options of `ActivationQuantiser`.

    Raises:
        SpecError: An unknown or impossible option.
    """

    average_gain: Tensor
    average_threshold: Tensor

    def __init__(
        self,
        bits: int,
        channels: int,
        *,
        stages: str = "double",
        squeeze: str = "batch",
        momentum: float = 0.1,
        rho: float = 1.0,
        reduction: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(bits, channels, **options)
        self.stages = one_of("stages", stages, STAGES)
        self.squeeze = one_of("squeeze", squeeze, ("batch", "sample"))
        if not 0 < momentum <= 1:
            raise SpecError(f"momentum={momentum}", where="darts_lp", fix="give a number above 0 and at most 1")
        if reduction is not None and reduction < 1:
            raise SpecError(f"reduction={reduction}", where="darts_lp", fix="give at least 1")
        self.momentum, self.rho = momentum, rho
        hidden = max(8, channels // (reduction or (4 if channels < 128 else 16)))
        self.gain = None if stages == "threshold" else _perceptron(channels, hidden)
        self.threshold = _perceptron(channels, hidden)
        self.centre = nn.Parameter(torch.zeros(channels))
        self.span = nn.Parameter(torch.tensor(2.0))
        self.register_buffer("average_gain", torch.ones(channels))
        self.register_buffer("average_threshold", torch.zeros(channels))

    def live(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """From the means of this batch, which also move the averages."""
        axes = [0, *range(2, inputs.dim())] if self.squeeze == "batch" else list(range(2, inputs.dim()))
        means = inputs.mean(axes, keepdim=False) if axes else inputs
        means = means.reshape(-1, self.channels)
        gain = torch.ones_like(means) if self.gain is None else 2 * self.gain(means).sigmoid()
        seen = gain * means if self.stages == "double" else means
        threshold = self.centre + self.rho * self.threshold(seen).tanh()
        with torch.no_grad():
            self.average_gain.lerp_(gain.mean(0), self.momentum)
            self.average_threshold.lerp_(threshold.mean(0), self.momentum)
        span = scale_gradient(positive(self.span), (inputs.numel() * self.steps) ** -0.5)
        return _spread(gain, inputs), _spread(threshold, inputs), span

    def settled(self) -> tuple[Tensor, Tensor, Tensor]:
        """The moving averages."""
        return self.average_gain.clamp(min=1e-6), self.average_threshold, positive(self.span)

    def start(self, inputs: Tensor, span: Tensor) -> None:
        """Takes the range; thresholds start at zero."""
        self.span.copy_(span)


class LearnableThreshold(ActivationQuantiser):
    """A learnable threshold per channel and a learnable range, without attention: RSign of ReActNet for any bits."""

    def __init__(self, bits: int, channels: int, **options: Any) -> None:
        super().__init__(bits, channels, **options)
        self.centre = nn.Parameter(torch.zeros(channels))
        self.span = nn.Parameter(torch.tensor(2.0))

    def live(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The parameters."""
        span = scale_gradient(positive(self.span), (inputs.numel() * self.steps) ** -0.5)
        return torch.ones_like(span), per_channel(self.centre, inputs), span

    def settled(self) -> tuple[Tensor, Tensor, Tensor]:
        """The parameters."""
        return torch.ones_like(self.centre), self.centre, positive(self.span)

    def start(self, inputs: Tensor, span: Tensor) -> None:
        """Takes the range; thresholds start at zero."""
        self.span.copy_(span)


def positive(span: Tensor) -> Tensor:
    """A range that training cannot turn around or make vanish."""
    return span.abs().clamp(min=1e-6)


def _perceptron(channels: int, hidden: int) -> nn.Sequential:
    last = nn.Linear(hidden, channels)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), last)


def _spread(values: Tensor, like: Tensor) -> Tensor:
    """(1, C) or (N, C) as (..., C, 1, ...), to go with (N, C, ...)."""
    return values.reshape(*values.shape, *[1] * (like.dim() - 2))
