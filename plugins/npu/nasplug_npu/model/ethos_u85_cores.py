"""The five sizes of Arm's Ethos-U85, after `ethos_u85.cpp` of regor in ethos-u-vela 5.2.0 (Apache-2.0)."""

from __future__ import annotations

from typing import NamedTuple

#: Height, width and depth.
Size = tuple[int, int, int]


class Unit(NamedTuple):
    """What is computed at once.

    Attributes:
        size: Outputs computed at once.
        inputs: Sizes in whose multiples inputs are kept, where up to 16, up to 32, and more channels are read at once.
    """

    size: Size
    inputs: tuple[Size, Size, Size]

    def kept(self, channels: int) -> Size:
        """The size in whose multiples inputs of so many channels are kept."""
        return self.inputs[(channels > 16) + (channels > 32)]


class Core(NamedTuple):
    """A product.

    Attributes:
        dense, apart: Units for sums over channels, and for layers that keep channels apart, in the compiler's order;
            the first of those that waste least is used.
        inputs, sums: Bytes of the memories for inputs and for sums.
        decoders: Parts that decode weights.
        output: Clocks per output of 8 bits.
    """

    dense: tuple[Unit, ...]
    apart: tuple[Unit, ...]
    inputs: int
    sums: int
    decoders: int
    output: float


def _units(inputs: tuple[Size, Size, Size], *sizes: Size) -> tuple[Unit, ...]:
    return tuple(Unit(size, inputs) for size in sizes)


_SMALL = ((2, 2, 16), (1, 2, 32), (1, 1, 64))
_SMALL_FLAT = ((1, 4, 16), (1, 2, 32), (1, 1, 64))
_LARGE, _LARGE_FLAT = ((2, 4, 16), (2, 2, 32), (1, 2, 64)), ((2, 4, 16), (1, 4, 32), (1, 2, 64))
_LARGEST, _LARGEST_FLAT = ((4, 4, 16), (2, 4, 32), (2, 2, 64)), ((4, 4, 16), (2, 4, 32), (1, 4, 64))
_SMALLEST = ((1, 2, 16), (1, 1, 32), (1, 1, 32))
_MEDIUM = (*_units(_SMALL, (2, 2, 16)), *_units(_SMALL_FLAT, (1, 4, 16)))
_KIB = 1024

#: By multipliers.
CORES = {
    128: Core(_units(_SMALLEST, (1, 2, 8)), _units(_SMALLEST, (1, 1, 16)), 8 * _KIB, 8 * _KIB, 1, 1 / 2),
    256: Core(
        (*_units(_SMALL_FLAT, (1, 4, 8)), *_units(_SMALL, (2, 2, 8))),
        _units(_SMALL, (1, 2, 16)),
        *(16 * _KIB, 16 * _KIB, 1, 1 / 4),
    ),
    512: Core(_MEDIUM, _MEDIUM, 16 * _KIB, 32 * _KIB, 2, 1 / 8),
    1024: Core(
        (*_units(_LARGE, (2, 2, 32)), *_units(_LARGE_FLAT, (1, 4, 32)), *_units(_LARGE, (2, 4, 16))),
        _units(_LARGE, (2, 4, 16)),
        *(16 * _KIB, 64 * _KIB, 4, 1 / 16),
    ),
    2048: Core(
        (*_units(_LARGEST, (2, 2, 64)), *_units(_LARGEST_FLAT, (1, 4, 64)), *_units(_LARGEST, (4, 4, 16))),
        _units(_LARGEST, (4, 4, 16)),
        *(32 * _KIB, 128 * _KIB, 4, 1 / 32),
    ),
}
