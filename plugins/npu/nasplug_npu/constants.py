"""Energy, area and leakage of memories and arithmetic: tables that come with the package, or a file of one's own.

The shipped tables name their sources. A file of one's own, see `read`, replaces any part of them.
"""

from __future__ import annotations

import csv
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from nasplug.contract.errors import DataError

if TYPE_CHECKING:
    from nasplug_npu.model.points import Points

#: Process that tables without one of their own belong to. Memories hold at the voltage CACTI takes for their node (low
#: operating power: 0.8, 0.7 and 0.6 V at 65, 45 and 22 nm); `vdd` is relative to that, as 0.9 V for all.
BASE_NODE, BASE_VDD = 45.0, 0.9
#: Area of a gate equivalent at 45 nm, um2: NAND2_X1 of the Nangate open cell library, the commonly cited value.
GATE_UM2 = 0.798
#: Capacities, in KiB, that the memory tables were made for.
SMALLEST, LARGEST = 1.0, 1024.0
#: How what a memory costs follows the feature size beyond the nodes of its table: energy by capacitance, area by both
#: sides, leakage by the width of transistors.
_BEYOND = {"read": 1.0, "write": 1.0, "area": 2.0, "leak": 1.0}

Array: TypeAlias = npt.NDArray[np.float64]
#: A number, or one for every hardware point.
Number: TypeAlias = "float | Array"
Row: TypeAlias = Mapping[str, float]


class Sourced(Protocol):
    """What says where its constants are from: a configuration, or points."""

    @property
    def sram(self) -> str:
        """Name of the shipped table of memories."""

    @property
    def constants(self) -> str:
        """Path of a file of one's own, or nothing."""


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


@dataclass(frozen=True, eq=False)
class Constants:
    """What arithmetic, memories and gates cost.

    Attributes:
        arithmetic: pJ per bit, and uW per bit, by quantity.
        sram: Power laws of memories, coefficient and exponent of the capacity in KiB, by node and word.
        sizes: Power laws of their area and leakage.
        node_nm, vdd: Process that arithmetic, gates and memories without a node hold at.
        gate_um2: Area of a gate equivalent there.
        covered: Whether capacities beyond those of the shipped tables are refused.
    """

    arithmetic: Mapping[str, float]
    sram: Sequence[Row]
    sizes: Sequence[Row]
    node_nm: float = BASE_NODE
    vdd: float = BASE_VDD
    gate_um2: float = GATE_UM2
    covered: bool = True

    def multiply_pj(self, one: Number, other: Number) -> Number:
        """Energy of a product of integers of these widths."""
        found = self.arithmetic
        return found["multiply_quadratic"] * one * other + found["multiply_linear"] * (one + other) / 2

    def add_pj(self, bits: Number) -> Number:
        """Energy of a sum of integers of this width."""
        return self.arithmetic["add_linear"] * bits

    def process_scale(self, node_nm: Number, vdd: Number) -> Number:
        """Energy relative to that of the tables' process: by the size and the square of the voltage. Approximate."""
        return (node_nm / self.node_nm) * self.voltage(vdd)

    def voltage(self, vdd: Number) -> Number:
        """Energy relative to that at the tables' voltage."""
        return (vdd / self.vdd) ** 2

    def gate_area(self, node_nm: Number) -> Number:
        """Square millimetres of a gate equivalent; both sides follow the feature size."""
        return self.gate_um2 * 1e-6 * (node_nm / self.node_nm) ** 2

    def logic_leakage(self, node_nm: Number) -> Number:
        """Leakage of logic relative to that of the tables' process: as that of memories, of like transistors."""
        return self.memory("leak", 64.0, 64, node_nm) / self.memory("leak", 64.0, 64, self.node_nm)

    def memory(self, quantity: str, kib: Number, word_bits: Number = 64, node_nm: Number = BASE_NODE) -> Number:
        """A buffer: `read` and `write` in pJ per **bit**, `area` in mm2, `leak` in mW.

        Words and nodes between those of the table are interpolated on logarithms. Wider words take several of the
        widest. Nodes beyond those of the table follow from the nearest by the feature size.

        Args:
            quantity: One of the four.
            kib: Capacity, also as an array.
            word_bits: Width of a word, for reads and writes, also as an array.
            node_nm: Feature size, also as an array.

        Raises:
            DataError: A capacity that is twice as far out as the table.
        """
        capacity = np.asarray(kib, dtype=np.float64)
        if self.covered:
            _within(capacity)
        rows = self.sizes if quantity in ("area", "leak") else self.sram
        nodes = sorted({row["node_nm"] for row in rows})
        wanted = np.asarray(node_nm, dtype=np.float64)
        if wanted.size == 1 and float(wanted.flat[0]) in nodes:  # the usual case
            return self._at(rows, quantity, float(wanted.flat[0]), capacity, word_bits)
        inside = np.clip(wanted, nodes[0], nodes[-1])
        values = [np.log(self._at(rows, quantity, node, capacity, word_bits)) for node in nodes]
        return np.exp(_between(values, np.log(nodes), np.log(inside))) * (wanted / inside) ** _BEYOND[quantity]

    def _at(self, rows: Sequence[Row], quantity: str, node: float, capacity: Number, word_bits: Number) -> Number:
        """At one node of the table; words that it lacks there relate as at the node with most of them."""
        some = [row for row in rows if row["node_nm"] == node]
        law = [row[quantity] * capacity ** row[f"{quantity}_exponent"] for row in some]
        words = [row["word_bits"] for row in some]
        if quantity in ("area", "leak"):
            return law[int(np.argmin(np.abs(np.array(words) - 64)))]
        per_bit = [np.log(value / word) for value, word in zip(law, words, strict=True)]
        if len(some) > 1:
            return np.exp(_between(per_bit, np.log(words), np.log(np.asarray(word_bits, dtype=np.float64))))
        counts = {other: sum(row["node_nm"] == other for row in rows) for other in {row["node_nm"] for row in rows}}
        widest = max(counts, key=lambda other: (counts[other], other))
        ratio: Number = 1.0
        if counts[widest] > 1:
            ratio = self._at(rows, quantity, widest, capacity, word_bits)
            ratio = ratio / self._at(rows, quantity, widest, capacity, words[0])
        return np.exp(per_bit[0]) * ratio


def of(hw: Sourced | Points) -> Constants:
    """The constants of a configuration, or of points that share them."""
    return shipped(hw.sram) if not hw.constants else _own(hw.constants, hw.sram)


@lru_cache(maxsize=4)
def shipped(sram: str = "cacti") -> Constants:
    """The tables of the package; `horowitz` has larger energies of memories, and the areas and leakages of CACTI."""
    arithmetic = {row["quantity"]: float(row["value"]) for row in table("arithmetic")}
    return Constants(arithmetic, _numbers(f"sram_{sram}"), _numbers("sram_cacti"))


def multiply_pj(one: Number, other: Number) -> Number:
    """Energy of a product of integers of these widths, by the shipped tables."""
    return shipped().multiply_pj(one, other)


def add_pj(bits: Number) -> Number:
    """Energy of a sum of integers of this width, by the shipped tables."""
    return shipped().add_pj(bits)


def process_scale(node_nm: Number, vdd: Number) -> Number:
    """Energy of arithmetic relative to that of the shipped tables, see `Constants.process_scale`."""
    return shipped().process_scale(node_nm, vdd)


def memory(
    quantity: str, kib: Number, word_bits: Number = 64, sram: str = "cacti", node_nm: Number = BASE_NODE
) -> Number:
    """A buffer by the shipped tables, see `Constants.memory`.

    Raises:
        DataError: A capacity that is twice as far out as the table.
    """
    return shipped(sram).memory(quantity, kib, word_bits, node_nm)


def _own(path: str, sram: str) -> Constants:
    from nasplug_npu.own_constants import read

    return read(path, shipped(sram))


def _numbers(name: str) -> tuple[Row, ...]:
    return tuple({key: float(value) for key, value in row.items()} for row in table(name))


def _within(capacity: npt.NDArray[np.float64]) -> None:
    outside = (capacity < SMALLEST / 2) | (capacity > LARGEST * 2)
    if np.any(outside):
        raise DataError(
            f"the shipped tables of constants have no memory of {float(capacity[outside][0]):g} KiB",
            where="nasplug_npu",
            why=f"they cover {SMALLEST:g} to {LARGEST:g} KiB",
            fix="choose buffers in that range, or give constants of your own",
        )
    if np.any((capacity < SMALLEST) | (capacity > LARGEST)):
        warnings.warn(f"memories outside {SMALLEST:g} to {LARGEST:g} KiB are extrapolated", stacklevel=3)


def _between(values: Sequence[Number], places: Array, wanted: Number) -> Array:
    """Values at places, interpolated; arrays that broadcast with what is wanted. Beyond the ends the last one holds."""
    position = np.interp(wanted, places, np.arange(len(places)))
    below = np.minimum(np.floor(position).astype(int), max(len(places) - 2, 0))
    share = position - below
    above = np.minimum(below + 1, len(places) - 1)
    stacked = np.stack(np.broadcast_arrays(*values, below)[:-1])
    low, high = (np.take_along_axis(stacked, np.broadcast_to(i, stacked.shape[1:])[None], 0)[0] for i in (below, above))
    return low * (1 - share) + high * share
