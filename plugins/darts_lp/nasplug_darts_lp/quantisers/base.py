"""What all quantisers of activations share: levels, thresholds, bits, the first batch, training and inference."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug_darts_lp.quantisers.ranges import best_range
from nasplug_darts_lp.quantisers.staircase import Gradient, Stairs, staircase

_LEVELS = ("auto", "unsigned", "signed", "rectified")
_SURROGATES = ("quadratic", "straight_through")
#: Up to so many thresholds, counting them one by one is faster than bisection.
_FEW = 15


class Levels(NamedTuple):
    """A quantiser in inference: the output is offset + step * #{i: x >= thresholds[i]}, channel by channel.

    Attributes:
        thresholds: (C, 2^bits - 1), ascending.
        offset: (C,), the lowest level.
        step: (C,), between levels; the same for all channels, so that a convolution can sum integers.
    """

    thresholds: Tensor
    offset: Tensor
    step: Tensor


class Codes(NamedTuple):
    """Whole numbers that stand for activations: the value is `unit * numbers`.

    Attributes:
        numbers: (N, C, ...), float tensor of integers.
        unit: (), positive.
    """

    numbers: Tensor
    unit: Tensor


class ActivationQuantiser(nn.Module):
    """Base of the quantisers. A child says how inputs are moved before they are compared: `live` and `settled`.

    With gain g > 0 and threshold t per channel, range R > 0 of the tensor, L = 2^bits - 1 and d = R / L, the level is

        n = #{i in 1..L: g x >= t + (i - 1/2 - z) d},   and the output   d (n - y).

    `levels` places them: `unsigned` has z = y = 0, for inputs from 0 to R; `signed` z = y = 2^(bits-1), the integers of
    two's complement, and at 1 bit z = y = 1/2, the values -d/2 and d/2; `rectified` z = L/2, y = 0, thresholds on both
    sides of t and no negative output, so that the quantiser is the activation function, too. `auto` is `unsigned` if
    the first batch has no negative number, else `signed`.

    The first batch in training mode sets the range, so that its squared error is least. In inference, comparisons with
    `static` are all that happens. On the meta device, values pass unchanged: comparisons belong to the output
    stage of whatever made them, and are not layers of their own.

    Args:
        bits: 1 to 8.
        channels: C.
        levels: Positions of the levels.
        surrogate: Gradient of a single step, `quadratic` (ReActNet) or `straight_through`.

    Attributes:
        bits, channels: Arguments, as given.
        enabled: False lets values pass unchanged, as in a warm-up in floating point.

    Raises:
        SpecError: Bits out of range, or an unknown option.
    """

    signed: Tensor
    started: Tensor

    def __init__(self, bits: int, channels: int, *, levels: str = "auto", surrogate: str = "quadratic") -> None:
        super().__init__()
        self.bits = checked_bits(bits)
        self.channels = channels
        self.levels = one_of("levels", levels, _LEVELS)
        self.surrogate = one_of("surrogate", surrogate, _SURROGATES)
        self.enabled = True
        self.register_buffer("signed", torch.tensor(levels in ("auto", "signed")))
        self.register_buffer("started", torch.tensor(False))
        self._ready = False  # spares a look at `started`, which waits for a GPU, in every step

    @property
    def steps(self) -> int:
        """Number of thresholds, 2^bits - 1."""
        return int(2**self.bits - 1)

    @property
    def largest(self) -> int:
        """No code is larger in magnitude."""
        return int(2**self.bits - 1)

    def set_bits(self, bits: int) -> None:
        """Changes the number of levels within the same range.

        Raises:
            SpecError: Bits out of range.
        """
        self.bits = checked_bits(bits)

    def live(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gain and threshold, broadcastable to the inputs, and range (), while training.

        Args:
            inputs: (N, C, ...).
        """
        raise NotImplementedError

    def settled(self) -> tuple[Tensor, Tensor, Tensor]:
        """Gain (C,), threshold (C,) and range () in inference."""
        raise NotImplementedError

    def start(self, inputs: Tensor, span: Tensor) -> None:
        """Sets the parameters from the first batch.

        Args:
            inputs: (N, C, ...).
            span: The range with the least squared error, ().
        """
        raise NotImplementedError

    def forward(self, inputs: Tensor) -> Tensor:
        """Quantises (N, C, ...)."""
        if inputs.device.type == "meta":
            return inputs.clone()
        if not self.enabled:
            return inputs
        if not self.training:
            found = self.static()
            level = count(inputs, found.thresholds)
            return (per_channel(found.offset, inputs) + per_channel(found.step, inputs) * level).to(inputs.dtype)
        with torch.autocast(inputs.device.type, enabled=False):  # thresholds need all their bits
            self._first(inputs)
            return self.quantise(inputs.float()).to(inputs.dtype)

    def quantise(self, inputs: Tensor) -> Tensor:
        """Training: the staircase with its gradients; inputs (N, C, ...)."""
        gain, threshold, span = self.live(inputs)
        stairs = Stairs(self.steps, self.zero_threshold(), self.zero_level(), self.gradient())
        return staircase(inputs, gain, threshold, span / self.steps, stairs)

    def gradient(self) -> Gradient:
        """How the gradient passes the staircase."""
        return "quadratic" if self.steps == 1 and self.surrogate == "quadratic" else "straight_through"

    @torch.no_grad()
    def static(self) -> Levels:
        """Thresholds and levels of inference.

        Steps are rounded to 16 significant bits: so every level, and the sum of offset and steps, is exact in float32.
        """
        gain, threshold, span = self.settled()
        step = span / self.steps
        positions = torch.arange(self.steps, device=step.device) + 0.5 - self.zero_threshold()
        thresholds = (threshold[:, None] + positions * step) / gain[:, None]
        short = short_float(step)
        return Levels(
            thresholds, (0.0 - self.zero_level() * short).expand(self.channels), short.expand(self.channels).clone()
        )

    def inference_form(self) -> nn.Module:
        """Thresholds and levels alone, which exported files hold."""
        return Static(self)

    def codes(self, inputs: Tensor) -> Codes:
        """The output in inference as integers and their unit; 0 stands for the value 0.

        Args:
            inputs: (N, C, ...).
        """
        found = self.static()
        level = count(inputs, found.thresholds)
        factor = self.code_factor()
        return Codes(factor * (level - self.zero_level()), found.step[0] / factor)

    def code_factor(self) -> Tensor:
        """Codes per level, (): 2 for the -1 and 1 of a signed bit, between which lies the 0 of padding, else 1."""
        return 1.0 + (self.signed & (self.bits == 1)).float()

    def zero_level(self) -> Tensor:
        """The level, not always an integer, that stands for 0."""
        half = 0.5 if self.bits == 1 else 2.0 ** (self.bits - 1)
        return self.signed * half

    def zero_threshold(self) -> Tensor:
        """The level that is met where the moved input is 0."""
        return self.zero_level() + (self.steps / 2 if self.levels == "rectified" else 0.0)

    @torch.no_grad()
    def _first(self, inputs: Tensor) -> None:
        """Sets up from the first batch that is seen in training."""
        if self._ready:
            return
        if not bool(self.started):
            if self.levels == "auto":
                self.signed.copy_(_reduced(inputs.min(), "MIN") < 0)
            span = best_range(inputs.float(), self.steps, self.zero_threshold(), self.zero_level())
            self.start(inputs.float(), _reduced(span, "AVG"))
            self.started.fill_(True)
        self._ready = True

    def extra_repr(self) -> str:
        """What is printed, and what tells two structures apart."""
        return f"bits={self.bits}, channels={self.channels}, levels={self.levels!r}"


def count(inputs: Tensor, thresholds: Tensor) -> Tensor:
    """How many thresholds of its channel each number reaches: exact.

    Few thresholds are counted one by one, many by bisection, which is made of operators that ONNX has and is what gets
    exported.

    Args:
        inputs: (N, C, ...), any type that compares.
        thresholds: (C, 2^k - 1), ascending, of the type of the inputs.

    Returns:
        Float tensor of integers, the shape of the inputs.
    """
    steps = thresholds.shape[1]
    if steps <= _FEW and not torch.compiler.is_compiling():
        reached = torch.zeros_like(inputs, dtype=torch.uint8)
        for threshold in thresholds.unbind(1):
            reached.add_((inputs >= per_channel(threshold, inputs)).view(torch.uint8))
        return reached.to(torch.float32)
    rows = thresholds.flatten()
    first = per_channel(torch.arange(thresholds.shape[0], device=inputs.device) * steps, inputs)
    middle = (steps + 1) // 2
    found = (inputs >= per_channel(thresholds[:, middle - 1], inputs)).long() * middle
    while middle > 1:
        middle //= 2
        found = found + (inputs >= rows[first + found + (middle - 1)]).long() * middle
    return found.to(torch.float32)


def per_channel(values: Tensor, like: Tensor) -> Tensor:
    """(C,) as (1, C, 1, ...), to go with (N, C, ...)."""
    return values.reshape(1, -1, *[1] * (like.dim() - 2))


def short_float(value: Tensor) -> Tensor:
    """Rounds positive numbers to 16 significant bits."""
    mantissa, exponent = torch.frexp(value)
    return torch.ldexp((mantissa * 2.0**16).round() * 2.0**-16, exponent)


def checked_bits(bits: Any, where: str = "darts_lp") -> int:
    """The number of bits.

    Raises:
        SpecError: It is not an integer from 1 to 8.
    """
    if isinstance(bits, bool) or not isinstance(bits, int) or not 1 <= bits <= 8:
        raise SpecError(
            f"{bits!r} bits", where=where, why="quantisers have 1 to 8 bits", fix="give an integer from 1 to 8"
        )
    return bits


def one_of(name: str, value: str, known: tuple[str, ...], where: str = "darts_lp") -> str:
    """The value.

    Raises:
        SpecError: It is not among the known ones.
    """
    if value not in known:
        raise SpecError(f"there is no {name} {value!r}", where=where, fix=did_you_mean(str(value), known))
    return value


def _reduced(value: Tensor, operation: str) -> Tensor:
    """The same number on all processes of a distributed training, which must begin alike."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return value
    total = value.clone()
    if operation == "MIN":
        torch.distributed.all_reduce(total, torch.distributed.ReduceOp.MIN)
        return total
    torch.distributed.all_reduce(total)
    return total / torch.distributed.get_world_size()


class Static(ActivationQuantiser):
    """The thresholds and levels of a trained quantiser, and nothing else.

    Args:
        trained: Any quantiser.
    """

    thresholds: Tensor
    offset: Tensor
    step: Tensor

    def __init__(self, trained: ActivationQuantiser) -> None:
        super().__init__(trained.bits, trained.channels, levels=trained.levels, surrogate=trained.surrogate)
        for name, value in trained.static()._asdict().items():
            self.register_buffer(name, value.clone())
        self.signed.copy_(trained.signed)
        self.started.fill_(True)
        self.enabled = trained.enabled
        self.to(trained.signed.device)

    def static(self) -> Levels:
        """What was kept."""
        return Levels(self.thresholds, self.offset, self.step)

    def forward(self, inputs: Tensor) -> Tensor:
        """Inference, in training mode, too; without gradients.

        Args:
            inputs: (N, C, ...).
        """
        if inputs.device.type == "meta" or not self.enabled or not self.training:
            return super().forward(inputs)
        codes = self.codes(inputs)
        return (codes.numbers * codes.unit).to(inputs.dtype)

    def set_bits(self, bits: int) -> None:
        """Thresholds cannot be divided anew.

        Raises:
            SpecError: Other bits than it has.
        """
        if bits != self.bits:
            raise SpecError("thresholds are frozen", where="darts_lp", fix="change the bits before `freeze`")
