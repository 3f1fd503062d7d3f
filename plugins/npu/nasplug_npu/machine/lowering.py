"""One layer as loads, computations and stores of its tiles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nasplug.contract.errors import SpecError
from nasplug.contract.wording import plural
from nasplug_npu.machine import instructions as isa
from nasplug_npu.machine.codes import Line, Steps
from nasplug_npu.machine.compiler import Buffers, Compiler
from nasplug_npu.machine.layers import Layer
from nasplug_npu.machine.layout import Map
from nasplug_npu.machine.steps import steps_of
from nasplug_npu.machine.tiles import Sizes, cut
from nasplug_npu.machine.weights import Chunk, chunks, is_depthwise, masks, records, rows_of

Range = tuple[int, int]
#: Split of a byte by the bits of its codes.
SPLITS = {8: 0, 4: 1, 2: 2}


class Region:
    """The part of a buffer that one layer uses.

    Args:
        buffers: Halves of the buffer.
        stays: Whether everything the layer loads fits one half, and is loaded once.
    """

    def __init__(self, buffers: Buffers, *, stays: bool) -> None:
        self.buffers, self.stays = buffers, stays
        self._places: dict[object, int] = {}
        self._start, self._free, self._end = -1, 0, 0

    def find(self, key: object, size: int) -> tuple[int, int | None]:
        """Start of a piece, and the count of computations that its loading waits for; None if it is there.

        Args:
            key: Name of the piece.
            size: Rows that it takes.
        """
        if key in self._places:
            return self._places[key], None
        if not self.stays or self._start < 0:
            self._start, self._free = self.buffers.take()
            self._places, self._end = {}, 0
        self._places[key] = self._start + self._end
        self._end += size
        return self._places[key], self._free

    def grow(self, end: int) -> tuple[int, int, int]:
        """Start, count to wait for, and how much was there before it reached up to `end`.

        Args:
            end: Words of a tensor that must be there, from its beginning.
        """
        if self._start < 0:
            self._start, self._free = self.buffers.take()
        before, self._end = self._end, max(self._end, end)
        return self._start, self._free, before

    def used(self, count: int) -> None:
        """Says that computations read it up to that count."""
        if self._start >= 0:
            self.buffers.used(self._start, count)

    @property
    def over(self) -> bool:
        """Whether it is larger than its half."""
        return self._end > self.buffers.half


@dataclass(frozen=True)
class Inputs:
    """Rows in the input buffer.

    Attributes:
        start: Start of the first row in the buffer.
        first, end: Range of rows.
        first_block, blocks: First block of channels, and number of blocks.
        apart: Entities from the rows of the first map to those of the second of a sum of two.
    """

    start: int
    first: int
    end: int
    first_block: int
    blocks: int
    apart: int = 0


class Lowering:
    """Compiles one layer.

    Args:
        compiler: Compiler that owns program and buffers.
        layer: The layer.
        source: Map that it reads.
        second: The other map of a sum of two.

    Raises:
        SpecError: The machine cannot compute it.
    """

    def __init__(self, compiler: Compiler, layer: Layer, source: Map, second: Map | None = None) -> None:
        self.c, self.layer, self.source, self.second = compiler, layer, source, second
        if second is not None and not _alike(source, second):
            raise self._refused("a sum of maps that differ", "both have one size, one width and one sign")
        self.program, self.build = compiler.program, compiler.build
        build = self.build
        if source.bits not in SPLITS:
            raise self._refused(f"inputs of {source.bits} bits", "the array multiplies codes of 8, 4 or 2 bits")
        if not build.narrow and (source.bits < 8 or (layer.weights is not None and layer.weight_bits < 8)):
            raise self._refused("operands of fewer than 8 bits", "its multipliers have no bricks (precision=full2d)")
        bits, signed = source.bits, source.signed
        if layer.weights is not None:
            bits, signed = (32, True) if layer.coded is None else (layer.coded.bits, layer.coded.signed)
        if bits < 8 and not build.narrow:
            raise self._refused(f"outputs of {bits} bits", "the next layer could not read them (precision=full2d)")
        size = layer.out_size(source.height, source.width)
        self.out = self.program.new_map(layer.name, layer.out_channels(source.channels), *size, bits, signed=signed)
        self.deep = is_depthwise(layer, source.channels)
        self.size = build.lanes if layer.weights is None else build.columns * 8 // layer.weight_bits
        blocks = -(-source.channels // source.block)
        skippable = layer.weights is not None and layer.groups == 1 and blocks >= build.window
        self.skips = build.skip and skippable and not self.deep
        self.chunks: list[Chunk] = []
        if layer.weights is not None:
            self.chunks = chunks(layer, source.channels, source.block, self.size, skip=self.skips)
        self.own_blocks = self.deep or layer.weights is None  # a chunk reads the blocks of its own channels
        self.number = len(self.chunks) or -(-source.channels // self.size)

    def _refused(self, what: str, why: str) -> SpecError:
        return SpecError(f"{self.layer.name}: {what}", where="npu machine", why=why, fix="use another unit or layer")

    def run(self, bands: int, groups: int) -> Map:
        """Adds all instructions.

        Args:
            bands: Wanted number of tiles along rows.
            groups: Wanted number of tiles along output channels.
        """
        program, c = self.program, self.c
        cutting = cut(self.sizes(), self.build, bands, groups, self.layer.name)
        before = program.count("store")
        inputs = Region(c.inputs, stays=cutting.inputs_stay)
        weights, record, mask = (Region(b, stays=cutting.weights_stay) for b in (c.weights, c.records, c.masks))
        for group, band in cutting.tiles():
            read = self._load_inputs(group, band, inputs, before)
            places = self._load_weights(group, weights, record, mask, 0 if c.prefetch else before)
            start, free = c.outputs.take()
            done = 0
            if self.skips:
                mine = self.chunks[group[0] : group[1]]
                counts = [steps_of(chunk.mask.tolist(), self.build.window) for chunk in mine]
                program.steps[program.count("compute")] = np.array(counts)
            for values in self._parts(group, band, read, places, start):
                waits = {"maps": program.count("maps"), "weights": program.count("weights"), "store": free}
                done = program.add("compute", waits, **values)
            for region in (inputs, weights, record, mask):
                region.used(done)
            c.outputs.used(start, self._store(group, band, start, done))
        program.ends.append((self.layer.name, program.count("store")))
        return self.out

    def sizes(self) -> Sizes:
        """What the layer takes of the buffers."""
        layer, source, out, build = self.layer, self.source, self.out, self.build
        grain = max(out.block // self.size, 1)
        if self.own_blocks:
            grain = max(grain, source.block // self.size)
        row = 32 * build.row_words
        coded = layer.coded is not None and layer.weights is not None
        blocks = -(-grain * self.size // out.block)
        return Sizes(
            height=out.height,
            chunks=self.number,
            grain=grain,
            row_words=source.row_words * (2 if self.second is not None else 1),
            input_height=source.height,
            stride=layer.stride,
            kernel=layer.dilation * (layer.kernel[0] - 1) + 1,
            out_words=out.words_of(blocks * out.pitch),
            weight_rows=max((-(-len(chunk.bits) // row) for chunk in self.chunks), default=0),
            record_rows=self.size // build.lanes if coded else 0,
        )

    def _load_inputs(self, group: Range, band: Range, region: Region, before: int) -> Inputs:
        """Loads the rows of a band that are not there yet."""
        layer, source = self.layer, self.source
        top = layer.padding[0]
        low = max(band[0] * layer.stride - top, 0)
        reach = layer.dilation * (layer.kernel[0] - 1) + 1
        high = min((band[1] - 1) * layer.stride - top + reach, source.height)
        low = min(low, high)
        if region.stays:
            start, free, loaded = region.grow(high * source.row_words)
            if high * source.row_words > loaded:
                words = high * source.row_words - loaded
                self._load(start + loaded, source.address + loaded, 1, words, 0, free, before)
                if self.second is not None:
                    place = start + source.words + loaded
                    self._load(place, self.second.address + loaded, 1, words, 0, free, before)
            return Inputs(start, 0, high, 0, source.blocks, source.words * 64 // source.entity)
        first, blocks = 0, source.blocks
        if self.own_blocks:
            first = group[0] * self.size // source.block
            blocks = min(-(-group[1] * self.size // source.block), source.blocks) - first
        start, wait = region.find((first, low, high), 0)
        words, height = source.words_of(blocks * source.pitch), high - low
        if wait is not None:
            for number, read in enumerate([source] if self.second is None else [source, self.second]):
                address = read.address + low * source.row_words + source.words_of(first * source.pitch)
                runs = (1, height * words, 0) if blocks == source.blocks else (height, words, source.row_words)
                self._load(start + number * height * words, address, *runs, wait, before)
        return Inputs(start, low, high, first, blocks, height * words * 64 // source.entity)

    def _load(self, buffer: int, memory: int, runs: int, words: int, stride: int, free: int, before: int) -> None:
        values = {"memory": memory, "buffer": buffer, "runs": runs, "words": words, "stride": stride}
        self.program.add("maps", {"compute": free, "store": before}, **values)

    def _load_weights(
        self, group: Range, weights: Region, record: Region, mask: Region, before: int
    ) -> tuple[int, int, int]:
        """Loads weights, records and masks of a group; the starts of all three."""
        mine, build, program, layer = self.chunks[group[0] : group[1]], self.build, self.program, self.layer
        if not mine:
            return 0, 0, 0
        content = [rows_of([chunk.bits for chunk in mine], build)]
        place, free = weights.find(group, len(content[0]) // build.row_words)
        values = {"words": len(content[0]), "row": place}
        starts = [place, 0, 0]
        if layer.coded is not None:
            found = np.concatenate([records(layer.coded, chunk.first, chunk.last, build.lanes) for chunk in mine])
            width = layer.coded.rule.records().shape[1] * build.lanes
            starts[isa.TO_RECORDS] = record.find(group, len(found) // width)[0]
            values |= {"record_words": len(found), "record_width": width, "record_row": starts[isa.TO_RECORDS]}
            content.append(found)
        if self.skips:
            bits = masks(mine)
            starts[isa.TO_MASK] = mask.find(group, len(bits))[0]
            values |= {"mask_words": len(bits), "mask_row": starts[isa.TO_MASK]}
            content.append(bits)
        for region in (weights, record, mask):
            if region.over:
                raise self._refused("its weights do not fit", f"half a buffer has {plural(region.buffers.half, 'row')}")
        if free is not None:
            program.add(
                "weights", {"compute": free, "store": before}, memory=program.place(np.concatenate(content)), **values
            )
        return starts[0], starts[1], starts[2]

    def _parts(
        self, group: Range, band: Range, read: Inputs, places: tuple[int, int, int], start: int
    ) -> Iterator[dict[str, int]]:
        """Computations of a tile: one, or one for every chunk where these read blocks of their own."""
        source, out, build, size = self.source, self.out, self.build, self.size
        weights, record, mask = places
        common = self._walk(band, read) | self._post()
        first_out = start * 64 // out.entity
        blocks = -(-min(group[1] * size, out.channels) // out.block) - group[0] * size // out.block
        common |= {"out_next_block": out.pitch, "out_next_row": blocks * out.pitch - (out.width - 1)}
        quads = size // build.lanes
        left = -(-(min(group[1] * size, out.channels) - (group[1] - 1) * size) // build.lanes)
        common |= {"quads": quads, "out": first_out, "record": record, "mask": 32 * mask}
        at = weights * build.row_parts
        if self.own_blocks or self.layer.groups == 1:
            base, every, part, following, used = 0, 1, 0, 0, source.blocks
            if self.own_blocks:
                base = (group[0] * size // source.block - read.first_block) * source.pitch
                every = max(source.block // size, 1)
                part = size if size < source.block else 0
                used = max(size // source.block, 1)
                following = used * source.pitch
            yield common | self._steps(used, read) | {
                "chunks": group[1] - group[0], "last_quads": left, "weights": at,
                "origin": common["origin"] + base, "every": every, "part": part, "next_base": following,
            }  # fmt: skip
            return
        for number in range(group[0], group[1]):
            chunk = self.chunks[number]
            base = (chunk.first_block - read.first_block) * source.pitch
            channel = (number - group[0]) * size
            yield common | self._steps(chunk.blocks, read) | {
                "chunks": 1, "last_quads": left if number + 1 == group[1] else quads, "every": 1, "weights": at,
                "origin": common["origin"] + base, "record": record + (number - group[0]) * quads,
                "out": first_out + channel // out.block * out.pitch,
                "out_bit": channel % out.block * out.bits % out.entity,
            }  # fmt: skip
            at += len(chunk.bits) // (8 * build.columns)

    def _walk(self, band: Range, read: Inputs) -> dict[str, int]:
        """Fields of the positions."""
        layer, source, out = self.layer, self.source, self.out
        top, left = layer.padding[:2]
        row, s = read.blocks * source.pitch, layer.stride
        y = band[0] * s - top - read.first
        together = 1 if layer.weights is None else self.build.positions
        jump_y, jump_x = divmod(together, out.width)
        positions = (band[1] - band[0]) * out.width
        return {
            "signed": int(source.signed),
            "input_split": SPLITS[source.bits],
            "weight_split": 0 if layer.weights is None else SPLITS[layer.weight_bits],
            "skip": int(self.skips),
            "mode": isa.LARGEST if layer.weights is None else isa.DEPTHWISE if self.deep else isa.SUMS,
            "rounds": -(-positions // together),
            "positions": positions,
            "origin": read.start * 64 // source.entity + y * row - left,
            "y": y,
            "x": -left,
            "height": read.end - read.first,
            "width": source.width,
            "stride": s,
            "dilation": layer.dilation,
            "out_width": out.width,
            "one": s,
            "one_wrapped": s * row - (out.width - 1) * s,
            "jump_x": jump_x,
            "jump_y": jump_y,
            "jump": jump_y * s * row + jump_x * s,
            "jump_wrapped": (jump_y + 1) * s * row + (jump_x - out.width) * s,
        }

    def _steps(self, blocks: int, read: Inputs) -> dict[str, int]:
        """Fields of the steps of a sum."""
        (kh, kw), d, pitch = self.layer.kernel, self.layer.dilation, self.source.pitch
        back = (blocks - 1) * pitch
        below = read.apart if self.second is not None else d * read.blocks * pitch
        return {
            "rows_of_kernel": kh,
            "columns_of_kernel": kw,
            "blocks": blocks,
            "next_block": pitch,
            "next_column": d - back,
            "next_row": below - (kw - 1) * d - back,
        }

    def _post(self) -> dict[str, int]:
        """Fields of the post-process unit."""
        coded = self.layer.coded
        if self.layer.weights is None:
            return {"post": isa.PASS, "out_split": SPLITS[self.out.bits]}
        if coded is None:
            return {"post": isa.RAW}
        found = {"out_split": SPLITS[coded.bits], "zero": coded.zero & 255, "double": int(coded.double)}
        if isinstance(coded.rule, Steps):
            return found | {"post": isa.STEPS, "thresholds": coded.rule.thresholds.shape[1]}
        assert isinstance(coded.rule, Line)
        return found | {"post": isa.LINE, "exceptions": coded.rule.at.shape[1]}

    def _store(self, group: Range, band: Range, start: int, done: int) -> int:
        """Stores the outputs of a tile; the count of stores then."""
        out, height = self.out, band[1] - band[0]
        first = group[0] * self.size // out.block
        blocks = -(-min(group[1] * self.size, out.channels) // out.block) - first
        words = out.words_of(blocks * out.pitch)
        address = out.address + band[0] * out.row_words + out.words_of(first * out.pitch)
        runs = (1, height * words) if blocks == out.blocks else (height, words)
        values = {"memory": address, "buffer": start, "runs": runs[0], "words": runs[1]}
        return self.program.add("store", {"compute": done}, **values, stride=out.row_words, buffer_stride=words)


def _alike(one: Map, other: Map) -> bool:
    fields = ("channels", "height", "width", "bits", "signed")
    return all(getattr(one, field) == getattr(other, field) for field in fields)
