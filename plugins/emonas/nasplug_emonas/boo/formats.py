"""Bit formats of weights, by name. No torch is needed to read one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from nasplug.contract.errors import SpecError, did_you_mean

Code: TypeAlias = Literal["twos_complement", "sign_magnitude"]
#: Floating-point formats (IEEE 754, and bfloat16) and their bits.
FLOATS: dict[str, int] = {"float32": 32, "float16": 16, "bfloat16": 16}
_INTEGER = re.compile(r"int(\d+)")
_FIXED = re.compile(r"[Qq](\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class BitFormat:
    """How a weight is written in bits.

    Attributes:
        name: `float32`, `float16`, `bfloat16`; `intN`, integers of N bits on a scale that the largest magnitude of the
            tensor sets; `Qm.n`, fixed point with a sign, m integer and n fractional bits.
        bits: Bits of one weight.
        fraction: Fractional bits of a fixed-point format; None for the others.
        code: Code of negative integers and fixed-point numbers.
        per_channel: Whether `intN` has one scale per output channel instead of one per tensor.
    """

    name: str
    bits: int
    fraction: int | None = None
    code: Code = "twos_complement"
    per_channel: bool = False

    @property
    def is_float(self) -> bool:
        """Whether it is a floating-point format."""
        return self.name in FLOATS

    @property
    def label(self) -> str:
        """The name with the code, such as `int8/sign_magnitude`, as `parse` reads it."""
        return self.name if self.is_float else f"{self.name}/{self.code}"

    @classmethod
    def parse(cls, text: str, code: Code = "twos_complement", per_channel: bool = False) -> BitFormat:
        """Reads a name; `int8/sign_magnitude` names the code, too.

        Args:
            text: The name.
            code: Code for names without one.
            per_channel: Scale of `intN`.

        Raises:
            SpecError: There is no such format or code.
        """
        name, _, named = text.partition("/")
        if (named or code) not in get_args(Code):
            fix = did_you_mean(str(named or code), get_args(Code))
            raise SpecError(f"there is no code {named or code!r}", where="boo.code", fix=fix)
        chosen: Code = named or code  # type: ignore[assignment]
        if name in FLOATS:
            if named:
                raise SpecError(f"{name} has one code only, not {named!r}", where="boo.format", fix=f"write {name}")
            if per_channel:
                raise SpecError(f"{name} has no scale, so no per_channel", where="boo.per_channel", fix="use intN")
            return cls(name, FLOATS[name])
        integer, fixed = _INTEGER.fullmatch(name), _FIXED.fullmatch(name)
        if integer and 2 <= int(integer[1]) <= 16:
            return cls(name, int(integer[1]), None, chosen, per_channel)
        if fixed and 1 <= int(fixed[1]) + int(fixed[2]) <= 31:
            if per_channel:
                raise SpecError(
                    f"the scale of {name} is fixed", where="boo.per_channel", fix="use intN, or leave it out"
                )
            return cls(f"Q{int(fixed[1])}.{int(fixed[2])}", 1 + int(fixed[1]) + int(fixed[2]), int(fixed[2]), chosen)
        raise SpecError(
            f"there is no bit format {text!r}",
            where="boo.format",
            fix="write float32, float16, bfloat16, int2 to int16, or Qm.n with 1 to 31 bits beside the sign",
        )
