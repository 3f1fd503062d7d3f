"""What a convolution costs at given bit widths, as a number that a search can lower.

The unit is one multiply-accumulate on 8x8 bits. The published formula is not available; the default is the usual count
of bit operations, which an array of small multipliers composed per precision comes close to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.protocols import HardwareTarget

#: Bits of a layer in floating point, for counting.
FLOAT_BITS = 32


@dataclass(frozen=True, slots=True)
class ConvShape:
    """The sizes of one convolution.

    Attributes:
        inputs, outputs: Channels.
        height, width: Of the input.
        kernel, stride, dilation, groups: As in torch; the padding keeps the size at stride 1.
    """

    inputs: int
    outputs: int
    height: int
    width: int
    kernel: int = 3
    stride: int = 1
    dilation: int = 1
    groups: int = 1

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        return self.outputs * -(-self.height // self.stride) * -(-self.width // self.stride) * self.reads

    @property
    def reads(self) -> int:
        """Products per output element."""
        return self.kernel**2 * self.inputs // self.groups

    @property
    def weights(self) -> int:
        """Weights."""
        return self.outputs * self.reads

    @property
    def activations(self) -> int:
        """Input elements of one image."""
        return self.inputs * self.height * self.width


class PowerModel(Protocol):
    """Prices one convolution."""

    def power(self, shape: ConvShape, weight_bits: int, activation_bits: int) -> float:
        """The cost of one image at these bit widths; only ratios matter."""


@dataclass(frozen=True, slots=True)
class BitOperations:
    """Multiply-accumulates times weight bits times activation bits over 64, and optionally the bits that are moved.

    Attributes:
        per_weight_bit: Cost of a bit of weights, in multiply-accumulates on 8x8 bits.
        per_activation_bit: Cost of a bit of input activations.
    """

    per_weight_bit: float = 0.0
    per_activation_bit: float = 0.0

    def power(self, shape: ConvShape, weight_bits: int, activation_bits: int) -> float:
        """See `PowerModel`."""
        moved = self.per_weight_bit * weight_bits * shape.weights
        moved += self.per_activation_bit * activation_bits * shape.activations
        return shape.macs * weight_bits * activation_bits / 64 + moved


@dataclass(frozen=True)
class Table:
    """A cost per multiply-accumulate for every pair of bit widths.

    Attributes:
        costs: By (weight bits, activation bits).
    """

    costs: Mapping[tuple[int, int], float]

    @classmethod
    def parse(cls, given: Mapping[str, float]) -> Table:
        """Reads `{w2a8: 0.4, ...}`.

        Raises:
            SpecError: A key has another form, or a cost is not positive.
        """
        costs = {}
        for key, cost in given.items():
            match = re.fullmatch(r"w(\d+)a(\d+)", str(key))
            if match is None or not isinstance(cost, (int, float)) or cost <= 0:
                raise SpecError(f"cannot read {key!r}: {cost!r}", where="power", fix="write {w4a8: 0.5, w8a8: 1.0}")
            costs[int(match[1]), int(match[2])] = float(cost)
        return cls(costs)

    def power(self, shape: ConvShape, weight_bits: int, activation_bits: int) -> float:
        """See `PowerModel`.

        Raises:
            SpecError: The table has no such pair.
        """
        if (weight_bits, activation_bits) not in self.costs:
            known = ", ".join(f"w{w}a{a}" for w, a in sorted(self.costs))
            raise SpecError(
                f"the table has no cost for w{weight_bits}a{activation_bits}",
                where="power",
                why=f"it has {known}",
                fix="add it, or choose from these bit widths; fixed layers need w8a8",
            )
        return shape.macs * self.costs[weight_bits, activation_bits]


#: Cycles per multiply-accumulate of MPIC, a RISC-V core for mixed precision (Ottavi et al., arXiv 2010.04073), from its
#: multiply-accumulates per cycle. Its power hardly differs between precisions, so that this is its energy as well.
MPIC = Table(
    {
        (weight, activation): 2.1 / rate
        for activation, rates in {2: (6.5, 4.0, 2.2), 4: (3.9, 3.5, 2.1), 8: (2.5, 2.3, 2.1)}.items()
        for weight, rate in zip((2, 4, 8), rates, strict=True)
    }
)


class TargetPower:
    """Asks a hardware target for the cost of each convolution by itself.

    Args:
        target: The target.
        key: Which of its answers; None means the first known one of `energy_j`, `latency_s`, `cycles`.
    """

    def __init__(self, target: HardwareTarget, key: str | None = None) -> None:
        self.target, self.key = target, key
        self._power = lru_cache(maxsize=None)(self._ask)

    def power(self, shape: ConvShape, weight_bits: int, activation_bits: int) -> float:
        """See `PowerModel`.

        Raises:
            SpecError: The target gives no such number.
        """
        return self._power(shape, weight_bits, activation_bits)

    def _ask(self, shape: ConvShape, weight_bits: int, activation_bits: int) -> float:
        from nasplug.cost.candidate import Candidate

        def build() -> Any:
            from nasplug_darts_lp.spaces.blocks import bare_conv

            return bare_conv(shape, weight_bits, activation_bits)

        found = self.target.estimate(Candidate(build, (shape.inputs, shape.height, shape.width)))
        known = [self.key] if self.key is not None else ["energy_j", "latency_s", "cycles"]
        for key in known:
            if key in found:
                return float(found[key])
        raise SpecError(
            f"the target {self.target.name!r} gives no {' or '.join(known)}",
            where="power",
            fix=did_you_mean(known[0], found),
        )


def power_model(given: str | Mapping[str, Any], target: HardwareTarget | None) -> PowerModel:
    """The model that a specification names.

    Args:
        given: `bits`, `mpic`, `target` (the run's), `target:KEY`, or a table `{w4a8: 0.5, ...}`.
        target: The run's hardware target.

    Raises:
        SpecError: An unknown name, or no target where one is needed.
    """
    if not isinstance(given, str):
        return Table.parse(given)
    name, _, key = given.partition(":")
    if name == "target":
        if target is None:
            raise SpecError("power is to come from the target, and the run has none", where="power", fix="set target")
        return TargetPower(target, key or None)
    models: dict[str, PowerModel] = {"bits": BitOperations(), "mpic": MPIC}
    if given not in models:
        raise SpecError(
            f"there is no power model {given!r}", where="power", fix=did_you_mean(given, [*models, "target"])
        )
    return models[given]
