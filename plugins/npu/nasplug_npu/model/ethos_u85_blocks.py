"""The blocks in which Arm's Ethos-U85 computes a layer, chosen as its compiler does.

Sums over channels are cut as on the U55 and U65: of all blocks whose inputs and sums fit the memories in the unit
twice, the one that reads least. Layers that keep channels apart take the block that covers most of the map, in the
map's own proportions. After `ethos_u85.cpp` of regor in ethos-u-vela 5.2.0 (Apache-2.0), for operands of 8 bits.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, inf, prod, sqrt

import numpy as np
import numpy.typing as npt

from nasplug_npu.model.ethos_blocks import Block, Layer, pick, up
from nasplug_npu.model.ethos_u85_cores import CORES, Core, Size, Unit

Floats = npt.NDArray[np.float32]

#: The largest block, the largest side of a kernel that is not divided, the depth in multiples of which sums are kept,
#: and the bytes of a sum.
LARGEST, SUBKERNEL, GRANULE, SUM = (128, 128, 1024), 8, 16, 4
#: Channels that are read at once: with kernel elements side by side, and alone.
PART, DEEP = 16, 64


@lru_cache(maxsize=65536)
def choose(layer: Layer, macs: int) -> tuple[Block, Size]:
    """The block of a layer whose outputs are sums or maxima over a window, and what is computed at once."""
    core = CORES[macs]
    apart = layer.kind in ("depthwise", "pool")
    unit = _unit(core.apart if apart else core.dense, layer.outputs)
    if not apart:
        return _least_read(layer, core, unit), unit.size
    fitted = _shrunk(layer, core, unit, _fitted(layer, core, unit, macs))
    return Block(fitted, required(layer, fitted, unit), part=False), unit.size


def _unit(units: tuple[Unit, ...], outputs: Size) -> Unit:
    """The first of the units that compute fewest outputs too many."""
    return min(units, key=lambda unit: prod(up(have, of) for have, of in zip(outputs, unit.size, strict=True)))


def required(layer: Layer, outputs: Size, unit: Unit, depth: int = 0) -> Size:
    """Inputs that a block of outputs reads at once, as they are kept.

    Args:
        layer: The layer.
        outputs: The block.
        unit: Outputs computed at once.
        depth: Channels read at once; those of the block where it is zero.
    """
    depth = depth or outputs[2]
    kept = unit.kept(depth)
    sides = [
        up((size - 1) * stride + min((k - 1) * dilation + 1, SUBKERNEL), multiple)
        for size, stride, k, dilation, multiple in zip(
            outputs[:2], layer.stride, layer.kernel, layer.dilation, kept[:2], strict=True
        )
    ]
    return sides[0], sides[1], up(depth, kept[2])


def by_part(channels: int, elements: int) -> bool:
    """Whether kernel elements side by side keep more multipliers busy than channels alone."""
    rounded = elements // 5 * 5 + max(elements % 5, 2)
    return channels / up(channels, 16) * (elements / rounded) >= channels / up(channels, 64)


def _least_read(layer: Layer, core: Core, unit: Unit) -> Block:
    """The block that reads least, as the compiler's search finds it, in its single precision."""
    (height, width, depth), (kh, kw), (hi, wi, channels) = layer.outputs, layer.kernel, layer.inputs
    part = by_part(channels, kh * kw)
    deep = PART if part else DEEP
    kept = unit.kept(deep)
    h, w, d = _candidates(layer.outputs, unit)
    area = [(k - 1) * dilation + 1 for k, dilation in zip(layer.kernel, layer.dilation, strict=True)]
    read = [
        up((size - 1) * stride + min(reach, SUBKERNEL), multiple)
        for size, stride, reach, multiple in zip((h, w), layer.stride, area, kept[:2], strict=True)
    ]
    inputs = read[0] * read[1] * up(min(up(deep, kept[2]), channels), kept[2])
    sums = h * w * up(d, GRANULE) * SUM
    fits = (2 * inputs <= core.inputs) & (2 * sums <= core.sums)
    if not fits.any():
        fits = (inputs <= core.inputs) & (sums <= core.sums)
    single = np.float32
    down, across, along = (
        single(size) / part_.astype(single) for size, part_ in zip(layer.outputs, (h, w, d), strict=True)
    )
    whole = np.ceil(down) * np.ceil(across)
    repeats = ceil(area[0] / SUBKERNEL) * ceil(area[1] / SUBKERNEL)
    weights = single(kh * kw) * single(channels) * whole * (along * d.astype(single))
    maps = (read[0] * read[1]).astype(single) * single(channels) * single(repeats) * (down * across) * np.ceil(along)
    size = single(height * width * depth)
    cost = (maps + weights) / size
    if height == width == 1 and (area[0], area[1]) == (hi, wi):
        cost = size / (h * w * d).astype(single)
    both = 2 * read[0] * read[1] * up(deep, kept[2])
    cost = np.where(hi * wi * channels < both, cost / single(2), cost)
    best = pick(np.where(fits, cost, np.inf), h, w, read, layer.inputs)
    return Block((int(h[best]), int(w[best]), int(d[best])), (int(read[0][best]), int(read[1][best]), deep), part)


def _candidates(outputs: Size, unit: Unit) -> tuple[npt.NDArray[np.float64], ...]:
    """Heights, widths and depths of all blocks, in the order of the search."""
    steps = (*unit.size[:2], max(unit.size[2], GRANULE))
    ends = [
        up(max(min(size, large), step), of)
        for size, large, step, of in zip(outputs, LARGEST, steps, unit.size, strict=True)
    ]
    heights, widths = (np.arange(step, end + 1, step) for step, end in zip(steps[:2], ends[:2], strict=True))
    depths, depth = [], max(unit.size[2], min(ends[2], GRANULE))
    while True:
        if depth < outputs[2]:
            depth = up(depth, GRANULE)
        if depth > ends[2]:
            break
        depths.append(depth)
        depth += unit.size[2]
    d, h, w = np.meshgrid(np.array(depths, float), heights.astype(float), widths.astype(float), indexing="ij")
    return h.ravel(), w.ravel(), d.ravel()


def _fitted(layer: Layer, core: Core, unit: Unit, macs: int) -> Size:
    """The block in the proportions of the map that covers most of it."""
    granule = (*unit.size[:2], GRANULE)
    whole = tuple(up(size, step) for size, step in zip(layer.outputs, granule, strict=True))
    limit = tuple(min(size, large) for size, large in zip(whole, LARGEST, strict=True))
    pointwise = layer.kernel == (1, 1)
    covered = whole[1] * (whole[2] if pointwise else whole[0])
    sums = core.sums // SUM
    plane = granule[0] * granule[1] * GRANULE
    found, least = (0, 0, 0), inf
    for depth in range(GRANULE, min(max(macs, sums // plane), limit[2]) + 1, GRANULE):
        block = _of_depth(layer, core, unit, (*limit[:2], depth), (whole[0], whole[1]))
        if block is None:
            break
        height, width, _ = block
        step = unit.kept(depth)[2]
        waste = 1 + (step - (depth % step or step)) / step / 10
        fit = 1 + abs(1 - limit[2] / depth) / 10
        coverage = 1 + abs(1 - covered / (width * (depth if pointwise else height)))
        if coverage * fit * waste < least:
            found, least = block, coverage * fit * waste
            if all(have >= size for have, size in zip(block, whole, strict=True)):
                return whole[0], whole[1], whole[2]
    return found


def _of_depth(layer: Layer, core: Core, unit: Unit, limit: Size, whole: tuple[int, int]) -> Size | None:
    """The largest block of one depth, in the proportions of the map, that fits the unit; none if there is none."""
    (most_high, most_wide, depth), (gh, gw) = limit, unit.size[:2]
    sums, plane = core.sums // SUM, gh * gw * GRANULE
    volume = prod(up(size, step) for size, step in zip(layer.inputs, unit.kept(depth), strict=True))
    room, before, patience = sums, -1, 25
    while True:
        height, width = _by_aspect(whole[0] / whole[1], room // depth, (gh, gw))
        height, width = min(height, most_high), min(width, most_wide)
        area = height * width
        if width < whole[1]:
            width = _tiled(whole[1], gw, width)
        height = max(area // width // gh * gh, gh)
        taken = height * width * depth
        for_sums = sums / taken
        for_inputs = core.inputs / min(prod(required(layer, (height, width, depth), unit)), volume)
        if for_sums >= 1 and for_inputs >= 1:
            return height, width, depth
        if taken == before:
            patience -= 1
            for_inputs = 0.9 if patience <= 0 else for_inputs
        before = taken
        if for_inputs < 1 < for_sums:
            room = min(room, taken)
        less = int(room // plane * min(for_inputs, for_sums)) * plane
        less = room - plane if less == room else less
        if less < plane:
            return None
        room = less


def _by_aspect(aspect: float, area: int, granule: tuple[int, int]) -> tuple[int, int]:
    """Height and width of an area, height over width given."""
    width = sqrt(area / aspect)
    height = width * aspect
    if height < 1:
        width, height = width * height, 1.0
    elif width < 1:
        width, height = 1.0, height * width
    return tuple(max(int(side), of) // of * of for side, of in zip((height, width), granule, strict=True))  # type: ignore[return-value]


def _tiled(size: int, step: int, tile: int) -> int:
    """The width of tiles, a little narrower than allowed, whose last one is fullest."""
    if size % tile == 0:
        return tile
    even = max(up(size // (size // tile + 1), step), step)
    best, fullest = tile, size % tile
    for narrower in range(tile, max(even - 2 * step, (even + 1) // 2, step) - 1, -step):
        last = size % narrower or narrower
        if last > fullest:
            best, fullest = narrower, last
    return best


def _shrunk(layer: Layer, core: Core, unit: Unit, block: Size) -> Size:
    """The block, made smaller until the inputs of one more row of units fit beside its own."""
    gh, gw = unit.size[:2]
    whole = tuple(up(size, step) for size, step in zip(layer.outputs, (gh, gw, GRANULE), strict=True))
    height, width, depth = block
    force = 0
    while width < whole[1] or height < whole[0] or depth < whole[2]:
        row = prod(required(layer, (gh, width, depth), unit))
        if core.inputs - prod(required(layer, (height, width, depth), unit)) >= row:
            break
        if (height != whole[0] or force & 2) and height > gh:
            height -= gh
        elif (depth > width or force & 1) and depth > GRANULE:
            depth -= GRANULE
        elif (width != whole[1] or force & 4) and width > gw:
            width -= gw
        elif force != 7:
            force = force << 1 | 1
        elif depth > GRANULE:
            depth = max(depth // 2, GRANULE)
        else:
            break
    return height, width, depth
