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
        inputs, outputs: Numbers of channels.
        height, width: Size of the input.
        kernel, stride, dilation, groups: Arguments as in torch; the padding keeps the size at stride 1.
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


class CostModel(Protocol):
    """Prices one convolution."""

    def cost(self, shape: ConvShape, weight_bits: int, activation_bits: int) -> float:
        """Returns the cost of one image at these bit widths; only ratios matter.

        Args:
            shape: Sizes of the convolution.
            weight_bits: Bits of the weights; 32 for floating point.
            activation_bits: Bits of the input; 32 for floating point.
        """


@dataclass(frozen=True, slots=True)
class BitOperations:
    """Bit operations over 64: multiply-accumulates, weight bits and activation bits; and optionally the bits moved.

    Attributes:
        per_weight_bit: Cost of a bit of weights, in multiply-accumulates on 8x8 bits.
        per_activation_bit: Cost of a bit of input activations.
    """

    per_weight_bit: float = 0.0
    per_activation_bit: float = 0.0

    def cost(self, shape: ConvShape, weight_bits: int, activation_bits: int) -> float:
        """See `CostModel`."""
        moved = self.per_weight_bit * weight_bits * shape.weights
        moved += self.per_activation_bit * activation_bits * shape.activations
        return shape.macs * weight_bits * activation_bits / 64 + moved


@dataclass(frozen=True)
class CostTable:
    """A cost per multiply-accumulate for every pair of bit widths.

    Attributes:
        costs: Cost by (weight bits, activation bits).
    """

    costs: Mapping[tuple[int, int], float]

    @classmethod
    def parse(cls, given: Mapping[str, float]) -> CostTable:
        """Reads `{w2a8: 0.4, ...}`.

        Raises:
            SpecError: A key has another form, or a cost is not positive.
        """
        costs = {}
        for key, cost in given.items():
            match = re.fullmatch(r"w(\d+)a(\d+)", str(key))
            if match is None or not isinstance(cost, (int, float)) or cost <= 0:
                raise SpecError(f"cannot read {key!r}: {cost!r}", where="cost", fix="write {w4a8: 0.5, w8a8: 1.0}")
            costs[int(match[1]), int(match[2])] = float(cost)
        return cls(costs)

    def cost(self, shape: ConvShape, weight_bits: int, activation_bits: int) -> float:
        """See `CostModel`.

        Raises:
            SpecError: The table does not have the pair.
        """
        if (weight_bits, activation_bits) not in self.costs:
            known = ", ".join(f"w{w}a{a}" for w, a in sorted(self.costs))
            raise SpecError(
                f"the table lacks a cost for w{weight_bits}a{activation_bits}",
                where="cost",
                why=f"it has {known}",
                fix="add it, or choose from these bit widths; fixed layers need w8a8",
            )
        return shape.macs * self.costs[weight_bits, activation_bits]


#: Cycles per multiply-accumulate of MPIC, a RISC-V core for mixed precision (Ottavi et al., arXiv 2010.04073), from its
#: multiply-accumulates per cycle. Its power hardly differs between precisions, so that this is its energy as well.
MPIC = CostTable(
    {
        (weight, activation): 2.1 / rate
        for activation, rates in {2: (6.5, 4.0, 2.2), 4: (3.9, 3.5, 2.1), 8: (2.5, 2.3, 2.1)}.items()
        for weight, rate in zip((2, 4, 8), rates, strict=True)
    }
)


class TargetCost:
    """Asks a hardware target for the cost of each convolution by itself.

    Args:
        target: Hardware target.
        key: Name of its estimate; None means the first it gives of `energy_j`, `latency_s`, `cycles`.
    """

    def __init__(self, target: HardwareTarget, key: str | None = None) -> None:
        self.target, self.key = target, key
        self._cost = lru_cache(maxsize=None)(self._ask)

    def cost(self, shape: ConvShape, weight_bits: int, activation_bits: int) -> float:
        """See `CostModel`.

        Raises:
            SpecError: The target does not give the estimate.
        """
        return self._cost(shape, weight_bits, activation_bits)

    def _ask(self, shape: ConvShape, weight_bits: int, activation_bits: int) -> float:
        from nasplug.cost.candidate import Candidate

        def build() -> Any:
            return bare_conv(shape, weight_bits, activation_bits)

        estimates = self.target.estimate(Candidate(build, (shape.inputs, shape.height, shape.width)))
        wanted = [self.key] if self.key is not None else ["energy_j", "latency_s", "cycles"]
        for key in wanted:
            if key in estimates:
                return float(estimates[key])
        raise SpecError(
            f"the target {self.target.name!r} does not give {' or '.join(wanted)}",
            where="cost",
            fix=did_you_mean(wanted[0], estimates),
        )


def bare_conv(shape: ConvShape, weight_bits: int, activation_bits: int) -> Any:
    """Makes a single convolution, for hardware that prices one at a time; more than 8 bits are floating point."""
    from nasplug_darts_lp.layers.build import conv2d
    from nasplug_darts_lp.layers.precision import Precision

    return conv2d(
        shape.inputs,
        shape.outputs,
        shape.kernel,
        shape.stride,
        dilation=shape.dilation,
        groups=shape.groups,
        precision=Precision(weight_bits, activation_bits) if max(weight_bits, activation_bits) <= 8 else None,
    )


def cost_model(given: str | Mapping[str, Any], target: HardwareTarget | None) -> CostModel:
    """Returns the model that a specification names.

    Args:
        given: Name, one of `bits`, `mpic`, `target` (the run's) and `target:KEY`, or a table `{w4a8: 0.5, ...}`.
        target: Hardware target of the run.

    Raises:
        SpecError: An unknown name, or no target where one is needed.
    """
    if not isinstance(given, str):
        return CostTable.parse(given)
    name, _, key = given.partition(":")
    if name == "target":
        if target is None:
            raise SpecError(
                "the cost model is the target, and the run does not have one", where="cost", fix="set target"
            )
        return TargetCost(target, key or None)
    models: dict[str, CostModel] = {"bits": BitOperations(), "mpic": MPIC}
    if given not in models:
        raise SpecError(f"unknown cost model {given!r}", where="cost", fix=did_you_mean(given, [*models, "target"]))
    return models[given]
