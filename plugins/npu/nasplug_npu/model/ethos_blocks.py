"""Clocks of one layer on Arm's Ethos-U55 and U65, block by block: the performance model of its compiler Vela, restated.

The unit computes a layer in blocks of outputs. The compiler chooses their size, so that the inputs and accumulators of
two blocks fit the memory in the unit and little is read again; a block then takes as long as its products, as what it
puts out, or as the command that starts it, whichever is longest. After `architecture_allocator.py` and
`npu_performance.py` of ethos-u-vela 5.2.0 (Apache-2.0), for operands of 8 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

#: Bits of an accumulator, bytes of a bank, banks for outputs, and the largest side of a kernel that is not divided.
_ACCUMULATOR, _BANK, _OUTPUT_BANKS, _SUBKERNEL = 32, 1024, 2, 8
#: The largest block (height, width, depth), and the depth in multiples of which blocks are split.
_LARGEST, _SPLIT = (32, 64, 128), 16
#: Channels of an image, at most, which lies pixel by pixel.
COLOURS = 4
#: Depths of inputs that one step takes where four kernel elements go side by side, and where one does.
_PART, _DEEP = 8, 32


class Core(NamedTuple):
    """A product.

    Attributes:
        ublock: Height, width and depth of what is computed at once.
        banks: Banks of the memory in the unit that blocks can use.
        input_granule, sum_granule: Banks that inputs and accumulators are given in multiples of.
        output, add, maximum, multiply, table: Clocks per output of a product layer, of an addition, of a maximum, of a
            multiplication by elements, and of a table.
        delay: Clocks that a kernel step loses if there is nothing to overlap it with.
        pooling: Factor on the clocks of pools.
        cores: Number of cores.
    """

    ublock: tuple[int, int, int]
    banks: int
    input_granule: int
    sum_granule: int
    output: float
    add: float
    maximum: float
    multiply: float
    table: float
    delay: int
    pooling: int
    cores: int


#: By multipliers.
CORES = {
    32: Core((1, 1, 4), 16, 2, 4, 2.0, 6.0, 1.0, 3.0, 2.0, 3, 1, 1),
    64: Core((1, 1, 8), 16, 2, 4, 1.0, 3.0, 0.5, 1.5, 1.0, 2, 4, 1),
    128: Core((1, 2, 8), 22, 4, 8, 0.5, 1.5, 0.25, 0.75, 1.0, 2, 4, 1),
    256: Core((2, 2, 8), 46, 8, 16, 0.25, 0.75, 0.125, 0.375, 1.0, 2, 4, 1),
    512: Core((2, 2, 8), 46, 8, 16, 0.125, 0.375, 0.0625, 0.1875, 0.5, 2, 4, 2),  # U65 only
}


class Layer(NamedTuple):
    """One layer of one input.

    Attributes:
        kind: `dense`, `vector` (fully connected), `depthwise`, `pool`, or `elements`.
        inputs, outputs: Height, width and channels.
        kernel, stride, dilation: Height and width.
        computed: `add`, `multiply`, `maximum` or `table`; an empty text for sums of products.
        chained: Elementwise layers that a U85 does on its outputs before it stores them.
    """

    kind: str
    inputs: tuple[int, int, int]
    outputs: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    computed: str = ""
    chained: int = 0


class Memory(NamedTuple):
    """The memory of the feature maps: clocks until it answers, bytes per clock, bytes of a burst."""

    latency: float
    bytes_per_cycle: float
    burst: float


@dataclass(frozen=True)
class Block:
    """What the compiler chooses.

    Attributes:
        outputs: Height, width and depth of a block.
        inputs: Height, width and depth of what it reads at once.
        part: Whether four kernel elements go side by side instead of 32 channels.
    """

    outputs: tuple[int, int, int]
    inputs: tuple[int, int, int]
    part: bool


@lru_cache(maxsize=65536)
def cycles(layer: Layer, macs: int, memory: Memory) -> float:
    """Clocks of one layer on a unit of so many multipliers."""
    core = CORES[macs]
    block = choose(layer, core)
    if layer.kind == "elements":
        each = _per_output(layer, core)
        size = float(np.prod(block.outputs))
        command = (sum(_transfers(layer, block, core, memory)) + each * size) / 4
        each = max(each, command / size)
        height, width, depth = layer.outputs
        return float(ceil(each * height * width * up(depth, 16)))
    busy, written, read, wrote = parts(layer, core, block, memory)
    whole = [max(size / part, 1.0) for size, part in zip(layer.outputs, block.outputs, strict=True)]
    command = (busy + written + (0.0 if layer.kind == "pool" else read - wrote)) / 4
    busy, written = max(busy, command), max(written, command)
    return float(int(max(busy, written) * float(np.prod(whole)) + min(busy, written) + read + wrote))


def parts(layer: Layer, core: Core, block: Block, memory: Memory) -> tuple[float, float, float, float]:
    """Layers whose outputs are sums, or maxima, over a window."""
    outputs = tuple(min(a, b) for a, b in zip(layer.outputs, block.outputs, strict=True))
    depth = min(layer.inputs[2], block.inputs[2])
    (height, width, deep), (kh, kw) = core.ublock, layer.kernel
    if height == 2 and layer.kind != "pool" and layer.outputs[0] == kh == 1 and layer.outputs[1] % 2 == 0:
        height, width, outputs = 1, 4, (1, *outputs[1:])
    across, down = ceil(outputs[1] / width), ceil(outputs[0] / height)
    plane, z = across * down, ceil(outputs[2] / deep)
    weights = 4 * deep
    limit = 1 if layer.kind == "vector" else _SUBKERNEL
    parts = [(min(limit, kh - y), min(limit, kw - x)) for y in range(0, kh, limit) for x in range(0, kw, limit)]
    rounds = ceil(depth / _PART) if block.part and layer.kind == "dense" else 1
    busy = 0.0
    for rows, columns in parts:
        elements = rows * columns
        if layer.kind == "pool":
            steps, taken = 1, max(4, elements) * plane * z * core.pooling
        elif layer.kind == "depthwise" or block.part:
            steps = ceil(elements / 4)
            taken = max(weights, 4 * plane) * steps * rounds * z
        else:
            steps = elements
            taken = max(weights, 4 * plane) * steps * z
        busy += taken
        if across == down == 1:
            busy += core.delay * rounds * (steps if z == 1 else (steps - 1) * z)
    if layer.kind in ("dense", "vector"):
        busy *= ceil(layer.inputs[2] / depth)
    busy /= core.cores
    written = float(ceil(_per_output(layer, core) * np.prod(outputs)))
    if layer.kind != "pool":
        written = max(written, 10 * outputs[2] * memory.latency / 256)
    return (busy, written, *_transfers(layer, block, core, memory))


def _per_output(layer: Layer, core: Core) -> float:
    found: float = getattr(core, layer.computed or "output")
    return found


def _transfers(layer: Layer, block: Block, core: Core, memory: Memory) -> tuple[float, float]:
    """Clocks to read what a block reads first, and to write it.

    Feature maps are stored in bricks of 16 channels, the pixels of an image one after the other.
    """
    found = []
    for shape, part, reads in ((layer.inputs, block.inputs, True), (layer.outputs, block.outputs, False)):
        moved = float(np.prod([min(a, b) for a, b in zip(shape, part, strict=True)]))
        burst = 16.0 * part[1] * (1 if reads else core.cores)
        if reads and shape[2] <= COLOURS:
            burst = float(part[2])
        burst = min(memory.burst, burst)
        found.append(memory.latency + float(int(moved * memory.burst / burst / memory.bytes_per_cycle)))
    return found[0], found[1]


@lru_cache(maxsize=65536)
def choose(layer: Layer, core: Core) -> Block:
    """The block that reads least, as the compiler's search finds it."""
    (height, width, depth), (kh, kw) = layer.outputs, layer.kernel
    area = tuple((k - 1) * d + 1 for k, d in zip(layer.kernel, layer.dilation, strict=True))
    elementwise, equal = layer.kind == "elements", layer.kind in ("elements", "pool", "depthwise")
    channels = layer.inputs[2]
    part = layer.kind == "dense" and _by_part(channels, kh * kw)
    deep = up(min(channels, 16 if part else _DEEP), 8)
    h, w, d = _candidates(layer.outputs, core)
    read = [
        up((size - 1) * stride + min(reach, _SUBKERNEL), unit)
        for size, stride, reach, unit in zip((h, w), layer.stride, area, core.ublock, strict=False)
    ]
    of_input = d if equal else np.full_like(d, deep)
    banks = up(2 * np.ceil(read[0] * read[1] * up(of_input, 8) / _BANK), core.input_granule)
    flat = 1 if height == kh == 1 and core.ublock[0] == 2 else h  # of one row, and a kernel of one: it needs no other
    sums = up(2 * np.ceil(flat * w * up(d, 8) * _ACCUMULATOR / 8 / _BANK), core.sum_granule)
    fits = _OUTPUT_BANKS + banks + (banks if elementwise else sums) <= core.banks
    tall = np.minimum(h, height) if isinstance(flat, int) else h
    full = np.ceil(height / tall) * np.ceil(width / w)
    share = (height / tall) * (width / w)
    weights = (area[0] * area[1] if layer.kind in ("dense", "depthwise") else 0) * channels * full
    if layer.kind != "depthwise":
        weights = weights * d * (depth / d)
    repeats = ceil(area[0] / _SUBKERNEL) * ceil(area[1] / _SUBKERNEL)
    inputs = read[0] * read[1] * channels * repeats * share * (1 if equal else np.ceil(depth / d))
    size = float(height * width * depth)
    cost = np.maximum(size / (h * w * d), 1) if elementwise else (inputs + weights) / size
    whole = float(np.prod(layer.inputs))
    cost = np.where(whole < 2 * read[0] * read[1] * of_input, cost / 2, cost)
    best = pick(np.where(fits, cost, np.inf), h, w, read, layer.inputs)
    return Block(
        (int(h[best]), int(w[best]), int(d[best])),
        (int(read[0][best]), int(read[1][best]), int(of_input[best])),
        part,
    )


def pick(cost: Array, h: Array, w: Array, read: list[Array], inputs: tuple[int, int, int]) -> int:
    """The first of the cheapest; among small ones that are as cheap, the last that covers most of the inputs."""
    first = int(np.argmin(cost))
    equal = np.flatnonzero((cost == cost[first]) & (h <= 4) & (w <= 4))
    equal = equal[equal > first]
    if not len(equal):
        return first
    covered = np.minimum(read[0][equal], inputs[0]) * np.minimum(read[1][equal], inputs[1])
    return int(equal[np.flatnonzero(covered == covered.max())[-1]])


def _candidates(outputs: tuple[int, int, int], core: Core) -> tuple[Array, Array, Array]:
    """Heights, widths and depths of all blocks, in the order of the search."""
    most = [up(min(size, large), unit) for size, large, unit in zip(outputs, _LARGEST, core.ublock, strict=True)]
    heights, widths = (np.arange(unit, high + 1, unit) for unit, high in zip(core.ublock[:2], most[:2], strict=True))
    unit, depths = core.ublock[2], []
    depth = max(unit, min(most[2], _SPLIT))
    if depth < outputs[2]:
        depth = up(depth, _SPLIT)
    while depth <= most[2]:
        depths.append(depth)
        depth += unit
        if depth < outputs[2]:
            depth = up(depth, _SPLIT)
    d, h, w = np.meshgrid(np.array(depths, float), heights.astype(float), widths.astype(float), indexing="ij")
    return h.ravel(), w.ravel(), d.ravel()


def _by_part(channels: int, elements: int) -> bool:
    """Whether four kernel elements side by side keep more multipliers busy than 32 channels."""
    if channels <= _PART:
        return True
    return channels * elements / (up(channels, _PART) * up(elements, 4)) >= channels / up(channels, _DEEP)


def up(value: Any, multiple: int) -> Any:
    """The next multiple; of numbers, or of arrays of them."""
    return np.ceil(value / multiple) * multiple if isinstance(value, np.ndarray) else -(-value // multiple) * multiple
