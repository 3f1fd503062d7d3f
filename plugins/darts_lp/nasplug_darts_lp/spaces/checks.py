"""What the arguments of both spaces have in common: bit widths, kernels, operations, inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import SpecError
from nasplug_darts_lp.layers.precision import Precision


class FixedPrecision:
    """Mixin of settings: the precision of everything that is not a choice.

    Attributes:
        weight_bits: Bit widths of weights to choose from; empty for floating point.
        first_last_bits: Bits of everything that is not a choice, unless the space is in floating point.
        activations, weights: Kinds of quantisers in built networks.
    """

    __slots__ = ()

    if TYPE_CHECKING:
        weight_bits: tuple[int, ...]
        first_last_bits: int | None
        activations: str
        weights: str

    @property
    def fixed_bits(self) -> int | None:
        """Bits of everything that is not a choice; None in floating point."""
        return self.first_last_bits if self.weight_bits else None

    @property
    def fixed(self) -> Precision:
        """Precision of everything that is not a choice."""
        return Precision(self.fixed_bits, self.fixed_bits, self.activations, self.weights)


def check_kernels(kernels: Sequence[Any], where: str) -> None:
    """Refuses kernels without a centre.

    Raises:
        SpecError: The list is empty, or a size is even.
    """
    if not kernels or any(isinstance(k, bool) or not isinstance(k, int) or k < 1 or k % 2 == 0 for k in kernels):
        raise SpecError(f"kernels={list(kernels)}", where=where, fix="give odd sizes, such as [3, 5]")


def check_bits(weights: Sequence[Any], activations: Sequence[Any], fixed: Any, where: str) -> None:
    """Refuses bit widths out of range.

    Raises:
        SpecError: A width is not an integer from 1 to 8, or only one of both lists is empty.
    """
    for value in (*weights, *activations, *(() if fixed is None else (fixed,))):
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 8:
            raise SpecError(f"{value!r} bits", where=where, why="quantisers have 1 to 8 bits")
    if bool(weights) != bool(activations):
        raise SpecError(
            "only one of weight_bits and activation_bits is empty",
            where=where,
            fix="give both, or empty lists for floating point",
        )


def check_image(input_shape: Sequence[int], where: str) -> None:
    """Refuses inputs that are not images.

    Raises:
        SpecError: The shape does not have three dimensions.
    """
    if len(input_shape) != 3:
        raise SpecError(f"expected an image (C, H, W), got shape {tuple(input_shape)}", where=where)
