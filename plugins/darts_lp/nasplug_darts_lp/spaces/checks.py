"""What the arguments of both spaces have in common: bit widths, kernels, operations, inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nasplug.contract.errors import SpecError


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
