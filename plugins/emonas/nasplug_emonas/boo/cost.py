"""BOO as a cost of trained networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasplug.contract.hookspecs import hookimpl
from nasplug_emonas.boo.formats import BitFormat, Code

if TYPE_CHECKING:
    from nasplug.cost.candidate import Candidate


class Boo:
    """Binary One Optimization: how many bits of the trained weights are 1.

    ================  ================================================================================
    key               value
    ================  ================================================================================
    `boo/ones`        ones in all weights, the objective of the thesis
    `boo/weights`     number of weights
    `boo/mean`        ones per weight
    `boo/density`     share of ones among all bits
    `boo/adds`        ones met in one inference: additions of shift-and-add multipliers
    `boo/per_mac`     `boo/adds` per multiplication by a weight
    ================  ================================================================================

    In float32 and in two's complement with 8 bits or more, `boo/mean` hardly changes, and `boo/ones` counts weights. It
    says something of its own in few bits and in sign-magnitude; `nasplug boo STUDY` shows by how much.

    Source: Feng, "EMONAS-BOO", thesis, KTH 2023; the formats are not given there.

    Args:
        format: `float32`, `float16`, `bfloat16`, `int2` to `int16` (symmetric, the largest magnitude sets the scale),
            or `Qm.n` (fixed point: a sign, m integer and n fractional bits).
        code: Code of negative numbers in `intN` and `Qm.n`: `twos_complement` or `sign_magnitude`.
        per_channel: One scale per output channel for `intN`, instead of one per tensor.
        include_bias: Count biases, too.
        include_bn: Count scales and shifts of normalisation layers, too.

    Raises:
        SpecError: There is no such format or code.
    """

    needs_trained_weights = True

    def __init__(
        self,
        format: str = "float32",
        code: Code = "twos_complement",
        per_channel: bool = False,
        include_bias: bool = False,
        include_bn: bool = False,
    ) -> None:
        self.format = BitFormat.parse(format, code, per_channel)
        self.include_bias, self.include_bn = include_bias, include_bn

    @hookimpl
    def cost(self, candidate: Candidate) -> dict[str, float]:
        """See the hook."""
        from nasplug_emonas.boo.counting import count

        found = count(
            candidate.network,
            self.format,
            candidate.inputs,
            include_bias=self.include_bias,
            include_bn=self.include_bn,
        )
        return {
            "boo/ones": float(found.ones),
            "boo/weights": float(found.weights),
            "boo/mean": found.mean,
            "boo/density": found.density,
            "boo/adds": found.adds,
            "boo/per_mac": found.per_mac,
        }
