"""The fast functional model of the machine: programs run instruction by instruction in numpy, without the hardware.

Loads and stores copy words between memories and buffers, and a computation does all its positions and steps at once: a
product of matrices, one product per channel and tap, or a largest number, and then lines or comparisons. What is read
and written where follows from the fields of the instruction alone, so that a fault of the compiler shows here as it
does on the hardware. Clocks are those of `nasplug_npu.machine.timing`. Tests and `benchmarks/npu_machine.py` compare
the contents of the memory of maps, word by word, and every event with the hardware's.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from nasplug.contract.errors import NasplugError
from nasplug_npu.machine.compiler import Program
from nasplug_npu.machine.instructions import DEPTHWISE, ENGINES, LARGEST, LINE, PASS, RAW, decode
from nasplug_npu.machine.layout import Ints, from_words, to_words
from nasplug_npu.machine.parameters import RECORD, Parameters
from nasplug_npu.machine.simulators import Outcome, Words
from nasplug_npu.machine.timing import events

Fields = dict[str, int]


class Functional:
    """Runs programs as `nasplug_npu.machine.simulators.Simulator` does.

    Args:
        build: The machine.
    """

    def __init__(self, build: Parameters) -> None:
        self.build = build

    def run(self, program: Program, maps: Words, limit: int = 20_000_000) -> Outcome:
        """Runs a program.

        Args:
            program: The program.
            maps: Contents of the memory of maps at the beginning.
            limit: Most clocks.

        Raises:
            SpecError: Loads and stores share a port, whose clocks only the hardware knows.
            NasplugError: It takes more clocks.
        """
        found = events(program)
        clocks = max((ends[-1] for ends in found.values() if ends), default=0)
        if clocks > limit:
            raise NasplugError(f"the program takes {clocks:,} clocks", where="npu machine", fix="a higher limit")
        state = _State(self.build, program, maps)
        order = sorted(
            (end, place, number) for place, engine in enumerate(ENGINES) for number, end in enumerate(found[engine])
        )
        for _, place, number in order:
            engine = ENGINES[place]
            getattr(state, engine)(decode(engine, program.streams[engine][number]))
        return Outcome(state.memory[: program.map_words], found, clocks)


class _State:
    """Memories and buffers while a program runs; a method for every engine."""

    def __init__(self, build: Parameters, program: Program, maps: Words) -> None:
        self.build = build
        self.memory: Words = np.zeros(max(program.map_words, len(maps)), dtype=np.uint64)
        self.memory[: len(maps)] = maps
        self.constants: Words = np.array(program.weights or [0], dtype=np.uint64)
        self.inputs: Words = np.zeros(build.input_words, dtype=np.uint64)
        self.outputs: Words = np.zeros(build.output_words, dtype=np.uint64)
        self.weight_words: Words = np.zeros(build.weight_rows * build.row_words, dtype=np.uint64)
        self.records: Words = np.zeros((build.record_rows, RECORD * build.lanes), dtype=np.uint64)
        self.masks: Words = np.zeros(build.mask_words, dtype=np.uint64)

    def maps(self, f: Fields) -> None:
        """Loads words of maps."""
        for run in range(f["runs"]):
            to, start = f["buffer"] + run * f["words"], f["memory"] + run * f["stride"]
            self.inputs[to : to + f["words"]] = self.memory[start : start + f["words"]]

    def weights(self, f: Fields) -> None:
        """Loads weights, records and masks."""
        ends = np.cumsum([f["memory"], f["words"], f["record_words"], f["mask_words"]])
        weights, records, masks = (self.constants[a:b] for a, b in pairwise(ends))
        start = f["row"] * self.build.row_words
        self.weight_words[start : start + len(weights)] = weights
        if len(records):
            width = f["record_width"]
            self.records[f["record_row"] : f["record_row"] + len(records) // width, :width] = records.reshape(-1, width)
        self.masks[f["mask_row"] : f["mask_row"] + len(masks)] = masks

    def store(self, f: Fields) -> None:
        """Stores words of maps."""
        for run in range(f["runs"]):
            to, start = f["memory"] + run * f["stride"], f["buffer"] + run * f["buffer_stride"]
            self.memory[to : to + f["words"]] = self.outputs[start : start + f["words"]]

    def compute(self, f: Fields) -> None:
        """Computes a tile."""
        build, bits = self.build, 8 >> f["input_split"]
        per = build.entity // bits
        elements = from_words(self.inputs, bits, 64, signed=bool(f["signed"])).reshape(-1, per)
        places, inside = _places(f)
        sums = []
        weights, mask = f["weights"], f["mask"]
        for chunk in range(f["chunks"]):
            base, part = chunk // f["every"] * f["next_base"], chunk % f["every"] * f["part"]
            seen = np.where(inside, places + base, 0)
            if f["mode"] == LARGEST:
                values = elements[seen][:, :, part : part + build.lanes]
                sums.append(np.where(inside[:, :, None], values, -(1 << 8)).max(axis=1))
                continue
            if f["mode"] == DEPTHWISE:
                taken, of_taps = self._weights(f, weights, f["rows_of_kernel"] * f["columns_of_kernel"])
                sums.append(self._depthwise(elements, seen, inside, part, f["blocks"], of_taps))
                weights += taken
                continue
            kept: npt.NDArray[Any] = np.arange(places.shape[1])
            if f["skip"]:
                kept = np.flatnonzero(self._mask(mask, places.shape[1]))
                mask += places.shape[1]
            taken, dense = self._weights(f, weights, len(kept) * per)
            weights += taken
            values = elements[seen[:, kept]] * inside[:, kept, None]
            sums.append(_product(values.reshape(len(values), -1), dense))
        self._post(f, sums)

    def _depthwise(
        self, elements: Ints, seen: Ints, inside: npt.NDArray[np.bool_], part: int, blocks: int, weights: Ints
    ) -> Ints:
        """Sums of one product per tap and channel, (positions, channels)."""
        channels = part + np.arange(weights.shape[1])
        block, at = np.divmod(channels, elements.shape[1])
        shape = len(seen), -1, blocks
        found = elements[seen.reshape(shape)[:, :, block], at] * inside.reshape(shape)[:, :, block]
        return np.asarray((found * weights).sum(axis=1))

    def _weights(self, f: Fields, place: int, rows: int) -> tuple[int, Ints]:
        """So many rows of weights, (rows, output channels), and how far the place goes on."""
        bits = 8 >> f["weight_split"]
        each = self.build.columns * 8 // bits
        first, last = place * self.build.columns * 8, (place + rows) * self.build.columns * 8
        words = self.weight_words[first // 32 : -(-last // 32)]
        values = from_words(words, bits, 32, signed=True)[first % 32 // bits :]
        return rows, values[: rows * each].reshape(rows, each)

    def _mask(self, place: int, steps: int) -> Ints:
        words = self.masks[place // 32 : -(-(place + steps) // 32)]
        return from_words(words, 1, 32, signed=False)[place % 32 :][:steps]

    def _post(self, f: Fields, sums: list[Ints]) -> None:
        """Turns sums into what is stored, and writes it to the buffer of outputs."""
        build, lanes = self.build, self.build.lanes
        raw = f["post"] == RAW
        bits = 32 if raw else 8 >> f["out_split"]
        entity = 32 * lanes if raw else build.entity
        number = np.arange(f["positions"])
        row, column = np.divmod(number, f["out_width"])
        entities = f["out"] + column + row * (f["out_width"] - 1 + f["out_next_row"])
        stored = from_words(self.outputs, bits, 64, signed=False)
        for chunk, found in enumerate(sums):
            quads = f["last_quads"] if chunk + 1 == f["chunks"] else f["quads"]
            found = found[: f["positions"], : quads * lanes]
            rows = f["record"] + chunk * f["quads"] + np.arange(quads)
            codes = found if f["post"] in (RAW, PASS) else self._codes(f, found, rows)
            group = chunk * f["quads"] + np.arange(quads)
            block, bit = np.divmod((0 if raw else f["out_bit"]) + group * (entity if raw else lanes * bits), entity)
            first = ((entities[:, None] + block * f["out_next_block"]) * entity + bit) // bits
            at = (first[:, :, None] + np.arange(lanes)).reshape(len(found), -1)
            stored[at] = codes & ((1 << bits) - 1)
        self.outputs = to_words(stored, bits, 64)

    def _codes(self, f: Fields, sums: Ints, rows: Ints) -> Ints:
        """Codes of sums (positions, channels) by the records of these rows."""
        lanes = self.build.lanes
        words = self.records[rows].reshape(len(rows), RECORD, lanes).transpose(1, 0, 2).reshape(RECORD, -1)
        numbers = words.astype(np.int64)
        whole = numbers - ((numbers >> 31) << 32)
        if f["post"] == LINE:
            offset = (words[1] | words[2] << np.uint64(32)).view(np.int64)
            low, high, shift = numbers[3] & 255, numbers[3] >> 8 & 255, numbers[3] >> 16 & 63
            levels = np.clip((sums * whole[0] + offset) >> shift, low, high)
            for word in whole[4 : 4 + f["exceptions"]]:
                at = word & ((1 << 28) - 1)
                at, step = at - ((at >> 27) << 28), word >> 28
                levels = levels + (sums == at) * step
        else:
            levels = (sums[:, None] >= whole[: f["thresholds"]]).sum(axis=1)
        return np.asarray((levels << f["double"]) - f["zero"])


def _places(f: Fields) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Entity that each position reads in each step of the first chunk, (positions, steps), and whether it is there."""
    row, column = np.divmod(np.arange(f["positions"]), f["out_width"])
    entity = f["origin"] + column * f["one"] + row * (f["one_wrapped"] + (f["out_width"] - 1) * f["one"])
    y, x = f["y"] + row * f["stride"], f["x"] + column * f["stride"]
    ky, kx, block = (
        axis.reshape(-1)
        for axis in np.meshgrid(
            *(np.arange(f[name]) for name in ("rows_of_kernel", "columns_of_kernel", "blocks")), indexing="ij"
        )
    )
    back = (f["blocks"] - 1) * f["next_block"]
    by_column = back + f["next_column"]
    by_row = back + (f["columns_of_kernel"] - 1) * by_column + f["next_row"]
    places = entity[:, None] + block * f["next_block"] + kx * by_column + ky * by_row
    at_y, at_x = y[:, None] + ky * f["dilation"], x[:, None] + kx * f["dilation"]
    return places, (at_y >= 0) & (at_y < f["height"]) & (at_x >= 0) & (at_x < f["width"])


def _product(values: Ints, weights: Ints) -> Ints:
    """A product of whole numbers, exact in double precision, which is faster than that of integers."""
    return np.rint(values.astype(np.float64) @ weights.astype(np.float64)).astype(np.int64)
