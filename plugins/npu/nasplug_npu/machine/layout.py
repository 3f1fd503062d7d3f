"""How maps and weights lie in the memories of the machine.

A map is stored row by row, in a row block of channels by block, in a block position by position: an entity holds the
channels of one block at one position. Codes are packed so that an entity has 8 bits for each row of the array; sums of
32 bits so that an entity has one for each lane of the post-process unit. Rows are filled up to whole words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nasplug_npu.machine.parameters import Parameters

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Map:
    """A feature map in the memory of maps.

    Attributes:
        channels, height, width: Size of the map.
        bits: Width of an element: 2, 4, 8, or 32 for sums.
        signed: Whether elements are two's complement.
        address: Address of the map, in words of 64 bits.
        build: Machine that holds it.
    """

    channels: int
    height: int
    width: int
    bits: int
    signed: bool
    address: int
    build: Parameters

    @property
    def entity(self) -> int:
        """Bits of an entity."""
        return 32 * self.build.lanes if self.bits == 32 else self.build.entity

    @property
    def block(self) -> int:
        """Channels of an entity."""
        return self.entity // self.bits

    @property
    def blocks(self) -> int:
        """Blocks of channels."""
        return -(-self.channels // self.block)

    @property
    def pitch(self) -> int:
        """Entities from a block to the next in a row."""
        return _pitch(self.width, self.entity)

    def words_of(self, entities: int) -> int:
        """Words that so many entities take."""
        return entities * self.entity // 64

    @property
    def row_words(self) -> int:
        """Words from a row to the next."""
        return self.words_of(self.blocks * self.pitch)

    @property
    def words(self) -> int:
        """Words of the whole map."""
        return self.height * self.row_words

    def pack(self, values: Ints) -> npt.NDArray[np.uint64]:
        """Elements (C, H, W) as words.

        Args:
            values: Whole numbers that fit the width.
        """
        c, h, w = values.shape
        padded = np.zeros((self.blocks * self.block, h, self.pitch), dtype=np.int64)
        padded[:c, :, :w] = values
        ordered = padded.reshape(self.blocks, self.block, h, self.pitch).transpose(2, 0, 3, 1)
        return to_words(ordered.reshape(-1), self.bits, 64)

    def unpack(self, words: npt.NDArray[np.uint64]) -> Ints:
        """The inverse of `pack`."""
        flat = from_words(words, self.bits, 64, signed=self.signed or self.bits == 32)
        ordered = flat.reshape(self.height, self.blocks, self.pitch, self.block).transpose(1, 3, 0, 2)
        full = ordered.reshape(self.blocks * self.block, self.height, self.pitch)
        return np.ascontiguousarray(full[: self.channels, :, : self.width])


def _pitch(width: int, entity: int) -> int:
    per_word = max(64 // entity, 1)
    return -(-width // per_word) * per_word


def to_words(values: Ints, bits: int, word: int) -> npt.NDArray[np.uint64]:
    """Numbers side by side in words, the first one lowest; the last word is filled with zeros.

    Args:
        values: Whole numbers (N,).
        bits: Bits of each.
        word: Bits of a word, 32 or 64.
    """
    each = word // bits
    padded = np.pad(values, (0, -len(values) % each)).astype(np.int64).view(np.uint64)
    if bits < 64:
        padded = padded & np.uint64((1 << bits) - 1)
    shifts = (np.arange(each) * bits).astype(np.uint64)
    found: npt.NDArray[np.uint64] = np.bitwise_or.reduce(padded.reshape(-1, each) << shifts, axis=1)
    return found


def from_words(words: npt.NDArray[np.uint64], bits: int, word: int, *, signed: bool) -> Ints:
    """The inverse of `to_words`.

    Args:
        words: Words (M,).
        bits: Bits of each number.
        word: Bits of a word.
        signed: Whether numbers are two's complement.
    """
    shifts = (np.arange(word // bits) * bits).astype(np.uint64)
    numbers = ((words[:, None] >> shifts) & np.uint64((1 << bits) - 1)).astype(np.int64).reshape(-1)
    return numbers - ((numbers >> (bits - 1)) << bits) if signed else numbers
