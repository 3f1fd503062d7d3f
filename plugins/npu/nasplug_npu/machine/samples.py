"""Layers drawn at random, with weights, inputs and codes: what simulations are compared on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nasplug_npu.machine.codes import Line, Steps
from nasplug_npu.machine.layers import Coded, Layer
from nasplug_npu.machine.layout import Ints

KINDS = ("conv", "strided", "dilated", "pointwise", "grouped", "depthwise", "linear", "maxpool")
_LEVELS = 15


@dataclass(frozen=True)
class Sample:
    """A layer and what it reads.

    Attributes:
        kind: Kind of the layer, one of `KINDS`.
        layer: The layer.
        inputs: Map (C, H, W).
        bits: Width of its elements.
        signed: Whether they are two's complement.
    """

    kind: str
    layer: Layer
    inputs: Ints
    bits: int
    signed: bool


def draw(
    kind: str,
    rng: np.random.Generator,
    *,
    input_bits: int = 8,
    weight_bits: int = 8,
    kept: float = 1.0,
    scale: int = 1,
    most: int = 14,
    even: bool = False,
) -> Sample:
    """A layer of a kind.

    Args:
        kind: Kind of the layer, one of `KINDS`.
        rng: Random numbers.
        input_bits: Width of inputs and outputs: 2, 4 or 8.
        weight_bits: Width of weights: 2, 4 or 8.
        kept: Share of the weights that are not zero.
        scale: Factor on the number of channels.
        most: Most rows and columns.
        even: Whether channels, and those of groups, are multiples of 8, as in most networks.
    """

    def size(low: int, high: int) -> int:
        return int(rng.integers(low, high + 1))

    channels, out, side, wide = (
        scale * size(3, 24),
        scale * size(4, 32),
        size(min(5, most), most),
        size(min(5, most), most),
    )
    if even:
        channels, out = 8 * -(-channels // 8), 8 * -(-out // 8)
    kernel: tuple[int, int] = (3, 3)
    settings: dict[str, Any] = {}
    if kind == "strided":
        k = size(1, 2) * 2 + 1
        kernel, settings = (k, k), {"stride": size(2, 3)}
    elif kind == "dilated":
        settings = {"dilation": 2}
    elif kind == "pointwise":
        kernel = (1, 1)
    elif kind == "grouped":
        groups = size(2, 4)
        if even:
            scale *= 4
        channels, out, settings = (
            groups * scale * (2 * size(1, 2) if even else size(2, 9)),
            groups * scale * (2 * size(1, 2) if even else size(2, 8)),
            {"groups": groups},
        )
    elif kind == "depthwise":
        k = size(1, 2) * 2 + 1
        kernel, out, settings = (k, k), channels, {"groups": channels, "stride": size(1, 2)}
    elif kind == "linear":
        side, wide = size(1, 4), size(1, 4)
        kernel = (side, wide)
    elif kind == "maxpool":
        k = size(2, 3)
        kernel, settings = (k, k), {"stride": size(1, 2)}
    signed = bool(rng.integers(2))
    half = 1 << (input_bits - 1)
    inputs = rng.integers(-half, half, (channels, side, wide)) + (0 if signed else half)
    top = 0 if kind == "linear" else (kernel[0] - 1) * settings.get("dilation", 1) // 2
    padding = (top, top, top, size(0, top))
    if kind == "maxpool":
        padding = (0, 0, 0, 0)
        return Sample(kind, Layer(kind, kernel, padding=padding, **settings), inputs, input_bits, signed)
    high = 1 << (weight_bits - 1)
    weights = rng.integers(1 - high, high, (out, channels // settings.get("groups", 1), *kernel))
    weights = weights * (rng.random(weights.shape) < kept)
    plain = Layer(kind, kernel, weights, weight_bits, padding=padding, **settings)
    coded = code(plain.sums(inputs), input_bits, rng) if kind != "linear" else None
    made = Layer(kind, kernel, weights, weight_bits, padding=padding, coded=coded, **settings)
    return Sample(kind, made, inputs, input_bits, signed)


def code(sums: Ints, bits: int, rng: np.random.Generator, *, signed: bool = True) -> Coded:
    """A rule that spreads sums over all levels, with an exception in every channel if it is a line.

    Args:
        sums: Sums (C, ...).
        bits: Width of the codes.
        rng: Random numbers.
        signed: Whether the codes are two's complement.
    """
    flat = sums.reshape(len(sums), -1)
    low, levels = flat.min(axis=1), (1 << bits) - 1
    high = np.maximum(flat.max(axis=1), low + 1)
    zero = 1 << (bits - 1) if signed else 0
    if levels <= _LEVELS:
        steps = rng.integers(low[:, None], high[:, None] + 1, (len(flat), levels))
        return Coded(Steps(np.sort(steps, axis=1)), bits, signed, zero)
    slope = np.maximum((levels + 8) / (high - low) * (1 << 20), 1).astype(np.int64)
    offset = -low * slope - rng.integers(0, 1 << 22, len(flat))
    ends = np.zeros(len(flat), dtype=np.int64)
    at = flat[:, :1]
    plain = Line(slope, offset, ends + 20, ends, ends + levels, at[:, :0], at[:, :0])
    step = np.where(plain.levels(at) > 0, -1, 1)
    return Coded(Line(slope, offset, ends + 20, ends, ends + levels, at, step), bits, signed, zero)
