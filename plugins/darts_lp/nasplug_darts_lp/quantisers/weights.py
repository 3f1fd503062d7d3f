"""Quantisers of weights: integers and a scale per output channel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nasplug_darts_lp.quantisers.base import checked_bits
from nasplug_darts_lp.quantisers.gradients import scale_gradient, stand_in
from nasplug_darts_lp.quantisers.squeeze import positive

#: Steps, in standard deviations, with the least squared error on Gaussian numbers, by number of levels (Max, IRE
#: Transactions on Information Theory 6(1), 1960, for even numbers; the odd ones by the same minimisation).
GAUSSIAN_STEPS = {
    **{2: 1.596, 4: 0.9957, 8: 0.5860, 16: 0.3352, 32: 0.1881, 64: 0.1041, 128: 0.0569},
    **{3: 1.2240, 7: 0.6508, 15: 0.3534, 31: 0.1933, 63: 0.1055, 127: 0.0573, 255: 0.0309},
}


class WeightQuantiser(nn.Module):
    """Base: `forward` is, to the last bit, the product of the two results of `integers`.

    The gradient passes straight through to the weights.

    Args:
        bits: 1 to 8.
        channels: Output channels O.

    Attributes:
        bits, channels: Arguments, as given.
        enabled: False lets weights pass unchanged.

    Raises:
        SpecError: Bits out of range.
    """

    def __init__(self, bits: int, channels: int) -> None:
        super().__init__()
        self.bits = checked_bits(bits)
        self.channels = channels
        self.enabled = True

    @property
    def largest(self) -> int:
        """No integer is larger in magnitude."""
        return max(1, int(2 ** (self.bits - 1)) - 1)

    def set_bits(self, bits: int) -> None:
        """Changes the number of levels.

        Raises:
            SpecError: Bits out of range.
        """
        self.bits = checked_bits(bits)

    def forward(self, weight: Tensor) -> Tensor:
        """Quantises (O, ...)."""
        if not self.enabled or weight.device.type == "meta":
            return weight
        numbers, scale = self._codes(weight)
        return stand_in(self._smooth(weight), numbers * scale.reshape(-1, *[1] * (weight.dim() - 1)))

    @torch.no_grad()
    def integers(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Whole numbers (O, ...) of type int16 and scales (O,).

        Args:
            weight: (O, ...), floating point.
        """
        numbers, scale = self._codes(weight)
        return numbers.to(torch.int16), scale

    def extra_repr(self) -> str:
        """What is printed, and what tells two structures apart."""
        return f"bits={self.bits}"

    def _codes(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Whole numbers as floats, and scales."""
        raise NotImplementedError

    def _smooth(self, weight: Tensor) -> Tensor:
        """What the gradient flows through; at 1 bit it stops beyond -1 and 1 (XNOR-Net, ReActNet)."""
        return weight.clamp(-1, 1) if self.bits == 1 else weight


class Uniform(WeightQuantiser):
    """Symmetric and uniform, 2^(bits-1) - 1 positive levels; at 1 bit the sign with the mean magnitude.

    Symmetric levels with one at 0 use 2^bits - 1 of the 2^bits codes: weights of 2 bits are ternary (-1, 0, 1). All
    four codes are used by `Gaussian`, whose levels are -3, -1, 1 and 3 halves of a step.

    A channel's scale follows its weights: its root mean square times the step that is best for Gaussian numbers with
    as many levels, and never more than lets the largest weight be met.
    """

    def _codes(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        rows = weight.detach().flatten(1)
        if self.bits == 1:
            return _signs(weight.detach()), rows.abs().mean(1)
        step = GAUSSIAN_STEPS[2 * self.largest + 1] * rows.square().mean(1).sqrt()
        scale = _not_zero(torch.minimum(step, rows.abs().amax(1) / self.largest))
        return (rows / scale[:, None]).round().clamp(-self.largest, self.largest).view_as(weight), scale


class Gaussian(WeightQuantiser):
    """Steps that are best for Gaussian numbers, times the standard deviation of the layer (EdMIPS, arXiv 2004.05795).

    There are 2^bits levels at odd multiples of half a step, and none at 0. At 8 bits the odd numbers would not fit
    into a byte: there, 255 levels with one at 0 are used.
    """

    @property
    def largest(self) -> int:
        """No integer is larger in magnitude."""
        return 127 if self.bits == 8 else 2**self.bits - 1

    def _codes(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        values = weight.detach()
        deviation = _not_zero(values.std(correction=0))
        if self.bits == 8:
            step = GAUSSIAN_STEPS[255] * deviation
            numbers = (values / step).round().clamp(-127, 127)
        else:
            step = GAUSSIAN_STEPS[2**self.bits] * deviation / 2
            numbers = (2 * (values / (2 * step)).floor() + 1).clamp(-self.largest, self.largest)
        return numbers, step.expand(self.channels)


class LSQWeights(WeightQuantiser):
    """Learned step size per output channel (arXiv 1902.08153), on symmetric levels; at 1 bit the step is the magnitude.

    The publication has one step per layer and the level -2^(bits-1) as well; here, 2 bits are ternary.

    Steps start at 2 mean|w| / sqrt(highest level) of the first weights seen in training.
    """

    started: Tensor

    def __init__(self, bits: int, channels: int) -> None:
        super().__init__(bits, channels)
        self.step = nn.Parameter(torch.full((channels,), 0.1))
        self.register_buffer("started", torch.tensor(False))
        self._ready = False

    def set_bits(self, bits: int) -> None:
        """Keeps the range: the steps change."""
        before = self.largest
        super().set_bits(bits)
        with torch.no_grad():
            self.step.mul_(before / self.largest)

    def forward(self, weight: Tensor) -> Tensor:
        """Quantises (O, ...), with gradients for weights and steps."""
        if not self.enabled or weight.device.type == "meta":
            return weight
        if self.training:
            self._first(weight)
        shape = (-1, *[1] * (weight.dim() - 1))
        step = scale_gradient(positive(self.step), (weight[0].numel() * self.largest) ** -0.5).reshape(shape)
        numbers, scale = self._codes(weight)
        position = (weight / step).clamp(-self.largest, self.largest)
        return stand_in(step * stand_in(position, numbers), numbers * scale.reshape(shape))

    def _codes(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        scale = positive(self.step.detach())
        if self.bits == 1:
            return _signs(weight.detach()), scale
        rows = weight.detach().flatten(1)
        return (rows / scale[:, None]).round().clamp(-self.largest, self.largest).view_as(weight), scale

    @torch.no_grad()
    def _first(self, weight: Tensor) -> None:
        if self._ready:
            return
        if not bool(self.started):
            self.step.copy_((2 * weight.flatten(1).abs().mean(1) / self.largest**0.5).clamp(min=1e-6))
            self.started.fill_(True)
        self._ready = True


def _signs(values: Tensor) -> Tensor:
    """1 for what is not negative, else -1."""
    return torch.where(values >= 0, 1.0, -1.0)


def _not_zero(scale: Tensor) -> Tensor:
    """Channels of zeros get some scale."""
    return torch.where(scale > 0, scale, 1.0)
