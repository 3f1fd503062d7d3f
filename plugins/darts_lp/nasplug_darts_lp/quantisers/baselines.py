"""Quantisers to compare with: a fixed one, LSQ and PACT; and one that is nothing but its thresholds."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nasplug_darts_lp.quantisers.base import ActivationQuantiser
from nasplug_darts_lp.quantisers.gradients import scale_gradient
from nasplug_darts_lp.quantisers.squeeze import positive
from nasplug_darts_lp.quantisers.staircase import Gradient


class Fixed(ActivationQuantiser):
    """Thresholds that stay where the first batch put them: sign at 1 bit, a uniform grid with more."""

    span: Tensor

    def __init__(self, bits: int, channels: int, **options: Any) -> None:
        super().__init__(bits, channels, **options)
        self.register_buffer("span", torch.tensor(2.0))

    def live(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """No gain, no threshold."""
        return torch.ones_like(self.span), torch.zeros_like(self.span), self.span

    def settled(self) -> tuple[Tensor, Tensor, Tensor]:
        """The same."""
        return self.span.new_ones(self.channels), self.span.new_zeros(self.channels), self.span

    def start(self, inputs: Tensor, span: Tensor) -> None:
        """Takes the range."""
        self.span.copy_(span)


class LSQ(ActivationQuantiser):
    """Learned step size (Esser et al., ICLR 2020, arXiv 1902.08153): the step d is trained.

    Its gradient is level - x/d within the range and the outermost level beyond, divided by sqrt(numbers * highest
    level). It starts at 2 mean|x| / sqrt(highest level).
    """

    def __init__(self, bits: int, channels: int, **options: Any) -> None:
        super().__init__(bits, channels, **options)
        self.step = nn.Parameter(torch.tensor(1.0))

    def live(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The range that the step makes."""
        step = scale_gradient(positive(self.step), (inputs.numel() * self._highest()) ** -0.5)
        return torch.ones_like(step), torch.zeros_like(step), step * self.steps

    def settled(self) -> tuple[Tensor, Tensor, Tensor]:
        """The same, without scaled gradients."""
        channels = self.step.new_zeros(self.channels)
        return channels + 1, channels, positive(self.step) * self.steps

    def start(self, inputs: Tensor, span: Tensor) -> None:
        """The start of the publication."""
        self.step.copy_((2 * inputs.abs().mean() / self._highest() ** 0.5).clamp(min=1e-6))

    def set_bits(self, bits: int) -> None:
        """Keeps the range: the step changes."""
        before = self.steps
        super().set_bits(bits)
        with torch.no_grad():
            self.step.mul_(before / self.steps)

    def _highest(self) -> Tensor:
        """Q_P, the highest positive level of the signed or unsigned grid, (); halves at 1 signed bit count as one."""
        signed = max(1, 2 ** (self.bits - 1) - 1)
        return self.steps + self.signed * float(signed - self.steps)  # a tensor: no step waits for a GPU


class PACT(ActivationQuantiser):
    """A learned clipping value (Choi et al., 2018, arXiv 1805.06085): only clipped numbers move the range.

    The publication has unsigned levels behind a ReLU. With signed ones, both ends are clipped and move the range.
    """

    def __init__(self, bits: int, channels: int, **options: Any) -> None:
        super().__init__(bits, channels, **options)
        self.span = nn.Parameter(torch.tensor(2.0))

    def gradient(self) -> Gradient:
        """That of clipping, whatever the surrogate."""
        return "clip"

    def live(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """No gain, no threshold."""
        span = positive(self.span)
        return torch.ones_like(span), torch.zeros_like(span), span

    def settled(self) -> tuple[Tensor, Tensor, Tensor]:
        """The same."""
        channels = self.span.new_zeros(self.channels)
        return channels + 1, channels, positive(self.span)

    def start(self, inputs: Tensor, span: Tensor) -> None:
        """Takes the range."""
        self.span.copy_(span)
