"""Energy and area of memories and arithmetic, from tables that come with the package and name their sources."""

from __future__ import annotations

import csv
import warnings
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np

from nasplug.contract.errors import DataError

#: The process that tables without one of their own belong to.
BASE_NODE, BASE_VDD = 45.0, 0.9
#: Capacities, in KiB, that the memory tables were made for.
SMALLEST, LARGEST = 1.0, 1024.0


@lru_cache(maxsize=32)
def table(name: str) -> tuple[dict[str, str], ...]:
    """The rows of a table; lines that start with # say where they are from.

    Raises:
        DataError: There is no such table.
    """
    file = files("nasplug_npu") / "data" / f"{name}.csv"
    if not file.is_file():
        raise DataError(f"there is no table {name!r} of constants", where="nasplug_npu")
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return tuple(csv.DictReader(lines))


def header(name: str) -> str:
    """What a table says about itself."""
    text = (files("nasplug_npu") / "data" / f"{name}.csv").read_text(encoding="utf-8")
    return "\n".join(line[1:].strip() for line in text.splitlines() if line.startswith("#"))


@lru_cache(maxsize=1)
def arithmetic() -> dict[str, float]:
    """The constants of arithmetic, in pJ per bit and uW per bit."""
    return {row["quantity"]: float(row["value"]) for row in table("arithmetic")}


def multiply_pj(one: Any, other: Any) -> Any:
    """Energy of a product of integers of these widths."""
    found = arithmetic()
    return found["multiply_quadratic"] * one * other + found["multiply_linear"] * (one + other) / 2


def add_pj(bits: Any) -> Any:
    """Energy of a sum of integers of this width."""
    return arithmetic()["add_linear"] * bits


def process_scale(node_nm: Any, vdd: Any) -> Any:
    """Energy relative to the tables' process: with the feature size and the square of the voltage. Approximate."""
    return (node_nm / BASE_NODE) * (vdd / BASE_VDD) ** 2


def memory(quantity: str, kib: Any, word_bits: Any = 64, sram: str = "cacti") -> Any:
    """A buffer at 45 nm: `read` and `write` in pJ per **bit**, `area` in mm2, `leak` in mW.

    Words between the widths of the table are interpolated on logarithms; wider ones take several of the widest.

    Args:
        quantity: One of the four.
        kib: Capacity, also as an array.
        word_bits: Width of a word, for reads and writes, also as an array.
        sram: `cacti` or `horowitz`.

    Raises:
        DataError: A capacity that is twice as far out as the table.
    """
    capacity = np.asarray(kib, dtype=np.float64)
    outside = (capacity < SMALLEST / 2) | (capacity > LARGEST * 2)
    if np.any(outside):
        raise DataError(
            f"the table sram_{sram} has no memory of {float(capacity[outside][0]):g} KiB",
            where="nasplug_npu",
            why=f"it covers {SMALLEST:g} to {LARGEST:g} KiB",
            fix="choose buffers in that range",
        )
    if np.any((capacity < SMALLEST) | (capacity > LARGEST)):
        warnings.warn(f"memories outside {SMALLEST:g} to {LARGEST:g} KiB are extrapolated", stacklevel=2)
    rows = [row for row in table(f"sram_{sram}") if float(row["node_nm"]) == BASE_NODE]
    words = np.array([float(row["word_bits"]) for row in rows])
    law = [float(row[quantity]) * capacity ** float(row[f"{quantity}_exponent"]) for row in rows]
    if quantity in ("area", "leak"):
        return law[int(np.argmin(np.abs(words - 64)))]
    per_bit = [np.log(value / word) for value, word in zip(law, words, strict=True)]
    position = np.interp(np.log(np.asarray(word_bits, dtype=np.float64)), np.log(words), np.arange(len(words)))
    below = np.minimum(np.floor(position).astype(int), max(len(words) - 2, 0))
    share = position - below
    above = np.minimum(below + 1, len(words) - 1)
    stacked = np.stack(np.broadcast_arrays(*per_bit, below)[:-1])  # (widths, points)
    low, high = (np.take_along_axis(stacked, np.broadcast_to(i, stacked.shape[1:])[None], 0)[0] for i in (below, above))
    return np.exp(low * (1 - share) + high * share)
