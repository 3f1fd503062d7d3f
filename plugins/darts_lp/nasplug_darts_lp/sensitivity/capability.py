"""What a space must offer so that bits can be assigned layer by layer. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import nn

    from nasplug.contract.records import Architecture

#: Bits of the weights and of the inputs of one layer.
Pair = tuple[int, int]


@runtime_checkable
class HasPrecisions(Protocol):
    """A space of one network whose layers have bits to choose."""

    @property
    def precisions(self) -> Mapping[str, Sequence[Pair]]:
        """Pairs (weight bits, activation bits) to choose from, by name of the layer in the network."""

    def assigned(self, bits: Mapping[str, Pair]) -> Architecture:
        """Returns the network with these bits.

        Args:
            bits: Pair of every layer, by name.
        """

    def bare(self) -> nn.Module:
        """Makes the network in floating point, with layers and weights of the same names."""
