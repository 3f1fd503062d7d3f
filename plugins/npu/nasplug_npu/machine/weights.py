"""How weights and records lie in the memory of weights: chunk by chunk, step by step, as the array takes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nasplug_npu.machine.codes import Steps
from nasplug_npu.machine.layers import Coded, Layer
from nasplug_npu.machine.layout import Ints, to_words
from nasplug_npu.machine.parameters import Parameters

Words = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Chunk:
    """Output channels that the array computes at once.

    Attributes:
        first, last: Range of output channels.
        first_block, blocks: Blocks of input channels that they need.
        bits: Weights of the chunk in the order of steps, as bits.
        mask: Steps with a weight that is not zero, in the order of steps.
    """

    first: int
    last: int
    first_block: int
    blocks: int
    bits: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.bool_]


def is_depthwise(layer: Layer, channels: int) -> bool:
    """Whether every output channel has one input channel, the one of its number."""
    return layer.weights is not None and layer.groups > 1 and layer.groups == channels == len(layer.weights)


def chunks(layer: Layer, channels: int, block: int, size: int, *, skip: bool) -> list[Chunk]:
    """Cuts the output channels of a layer and orders their weights.

    Channels of a block that a chunk does not read have weights of zero. Of depthwise layers only the diagonal is kept.

    Args:
        layer: Layer with weights.
        channels: Input channels of the layer.
        block: Input channels of a block.
        size: Output channels of a chunk.
        skip: Whether steps without any weight are left out.
    """
    assert layer.weights is not None
    weights = layer.weights
    deep = is_depthwise(layer, channels)
    each, out = channels // layer.groups, len(weights) // layer.groups
    taps = layer.kernel[0] * layer.kernel[1]
    found = []
    for first in range(0, len(weights), size):
        last = min(first + size, len(weights))
        low, high = first // out * each, ((last - 1) // out + 1) * each
        first_block, end = low // block, -(-high // block)
        if deep:
            dense = np.zeros((taps, size), dtype=np.int64)
            dense[:, : last - first] = weights[first:last].reshape(last - first, taps).T
            end = max(end, first_block + -(-size // block))  # the array goes over as many blocks in every chunk
            mask: npt.NDArray[np.bool_] = np.ones(taps, dtype=np.bool_)
        else:
            wide = np.zeros((taps, (end - first_block) * block, size), dtype=np.int64)
            for channel in range(first, last):
                at = channel // out * each - first_block * block
                wide[:, at : at + each, channel - first] = weights[channel].reshape(each, taps).T
            dense = wide.reshape(taps * (end - first_block), block * size)
            mask = np.asarray(dense.any(axis=1), dtype=np.bool_)
            if skip:
                dense = dense[mask]
        found.append(Chunk(first, last, first_block, end - first_block, _bits(dense, layer.weight_bits), mask))
    return found


def _bits(values: Ints, bits: int) -> npt.NDArray[np.uint8]:
    flat = values.reshape(-1)
    ones: npt.NDArray[np.uint8] = ((flat[:, None] >> np.arange(bits)) & 1).astype(np.uint8)
    return ones.reshape(-1)


def rows_of(bits: list[npt.NDArray[np.uint8]], build: Parameters) -> Words:
    """Bits of some chunks as words of 32 bits that fill whole rows of the buffer of weights."""
    stream = np.concatenate(bits)
    row = 32 * build.row_words
    return to_words(np.pad(stream, (0, -len(stream) % row)).astype(np.int64), 1, 32)


def records(coded: Coded, first: int, last: int, lanes: int) -> Words:
    """Records of the output channels of a chunk, (rows x words x lanes,), word by word of every group of lanes.

    Args:
        coded: Coding of the sums.
        first: First output channel.
        last: End of the output channels.
        lanes: Lanes of the post-process unit.
    """
    mine = coded.rule.records()[first:last]
    rows = -(-(last - first) // lanes)
    padded = np.zeros((rows * lanes, mine.shape[1]), dtype=np.int64)
    padded[: last - first] = mine
    if isinstance(coded.rule, Steps):
        padded[last - first :] = (1 << 31) - 1
    ordered = padded.reshape(rows, lanes, -1).transpose(0, 2, 1).reshape(-1)
    return (ordered & 0xFFFFFFFF).view(np.uint64)


def masks(found: list[Chunk]) -> Words:
    """Masks of chunks, one bit for every step, as words of 32 bits."""
    stream = np.concatenate([chunk.mask for chunk in found]).astype(np.int64)
    return to_words(np.pad(stream, (0, -len(stream) % 32)), 1, 32)
