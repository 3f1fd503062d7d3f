"""Clocks of one layer on Arm's Ethos-U85, block by block: the performance model of its compiler Vela, restated.

A block takes as long as its products, as what it puts out, or as the command that starts it, whichever is longest; what
is read before the first block and written after the last one comes on top. After `ethos_u85_performance.cpp` of regor,
in ethos-u-vela 5.2.0 (Apache-2.0), for operands of 8 bits.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, prod

from nasplug_npu.model.ethos_blocks import COLOURS, Block, Layer, Memory
from nasplug_npu.model.ethos_u85_blocks import SUBKERNEL, choose
from nasplug_npu.model.ethos_u85_cores import CORES, Core, Size

#: Clocks that a kernel step loses if there is nothing to overlap it with, channels of a brick of a map, and those of a
#: kernel step that takes elements side by side.
_DELAY, _BRICK, _STEP = 2, 16, 8
#: Channels of inputs that leave two of four weights zero, which are skipped then.
_SPARSE = 2


@lru_cache(maxsize=65536)
def cycles(layer: Layer, macs: int, memory: Memory) -> float:
    """Clocks of one layer on a unit of so many multipliers."""
    core = CORES[macs]
    if layer.kind == "elements":
        height, width, depth = layer.outputs
        return float(ceil(core.output * height * width * -(-depth // _BRICK) * _BRICK))
    block, unit = choose(layer, macs)
    outputs = _least(layer.outputs, block.outputs)
    blocks = prod(map(_ceil, layer.outputs, unit)) / prod(map(_ceil, outputs, unit))
    busy = float(_products(layer, core, block, unit))
    written = float(ceil(core.output * (1 + layer.chained) * prod(outputs)))
    if layer.kind != "pool":
        written = max(written, 10 * outputs[2] * memory.latency / 256)
    read, wrote = _transfers(layer, block, memory)
    command = ((abs(wrote - read) if blocks > 1 else 0) + busy + written) / 4
    busy, written = max(busy, command), max(written, command)
    whole = int(busy * blocks) + written if busy > written else written * blocks + busy
    return float(int(whole) + read + wrote)


def _products(layer: Layer, core: Core, block: Block, unit: Size) -> int:
    """Clocks of the products of a block, or of what a pool compares."""
    outputs, channels = _least(layer.outputs, block.outputs), min(layer.inputs[2], block.inputs[2])
    across, z = _ceil(outputs[0], unit[0]) * _ceil(outputs[1], unit[1]), _ceil(outputs[2], unit[2])
    weights = 4 * unit[2] // core.decoders
    rounds = _ceil(channels, _STEP) if block.part else 1
    busy = 0
    for elements in _subkernels(layer.kernel):
        if layer.kind == "pool":
            steps, taken = 1, max(4, elements) * across * z * 4
        elif layer.kind == "depthwise" or block.part:
            steps = _ceil(elements, 4)
            taken = max(weights, 4 * across) * steps * z * rounds
            if layer.kind != "depthwise" and layer.inputs[2] <= _SPARSE:
                taken //= 2
        else:
            steps = elements
            taken = max(weights, channels // 8 * across) * steps * z
        delay = 0
        if across == 1:
            delay = _DELAY * rounds * (steps if z == 1 else (steps - 1) * z)
        busy += taken + delay
    return busy * (1 if layer.kind in ("pool", "depthwise") else _ceil(layer.inputs[2], channels))


def _subkernels(kernel: tuple[int, int]) -> list[int]:
    """Elements of the parts of a kernel."""
    sides = [[min(SUBKERNEL, size - at) for at in range(0, size, SUBKERNEL)] for size in kernel]
    return [rows * columns for rows in sides[0] for columns in sides[1]]


def _transfers(layer: Layer, block: Block, memory: Memory) -> tuple[int, int]:
    """Clocks to read what a block reads, and to write it; maps are stored in bricks of 16 channels, images by pixel."""
    found = []
    for shape, part in ((layer.inputs, block.inputs), (layer.outputs, block.outputs)):
        moved = prod(_least(shape, part))
        burst = float(_BRICK * part[1])
        if part is block.inputs and shape[2] <= COLOURS:
            burst = float(part[2])
        burst = min(memory.burst, burst)
        found.append(int(memory.latency) + int(int(moved * memory.burst / burst) / memory.bytes_per_cycle))
    return found[0], found[1]


def _least(one: Size, other: Size) -> Size:
    return min(one[0], other[0]), min(one[1], other[1]), min(one[2], other[2])


def _ceil(size: int, of: int) -> int:
    return -(-size // of)
