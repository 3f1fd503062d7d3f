"""Maps in memory: counted by hand, and there and back."""

from __future__ import annotations

import numpy as np
import pytest
from nasplug_npu.machine.layout import Map, from_words, to_words


def test_a_word_holds_the_channels_of_one_position(build):
    place = Map(9, 2, 3, 8, True, 0, build())
    assert (place.block, place.blocks, place.pitch, place.row_words, place.words) == (8, 2, 3, 6, 12)
    values = np.arange(9 * 2 * 3).reshape(9, 2, 3)
    words = place.pack(values)
    assert int(words[1]) & 0xFF == values[0, 0, 1]
    assert int(words[0]) >> 8 & 0xFF == values[1, 0, 0]
    assert int(words[3]) == values[8, 0, 0]
    assert int(words[6]) & 0xFF == values[0, 1, 0]


@pytest.mark.parametrize("bits", [2, 4, 8, 32])
@pytest.mark.parametrize("shape", ["8x4x1", "1x1x4", "4x4x2"])
def test_maps_come_back(bits, shape, build, random_map, rng):
    place = Map(5, 3, 7, bits, True, 0, build(shape))
    values = random_map(rng, 5, 3, 7, bits=bits)
    assert np.array_equal(place.unpack(place.pack(values)), values)
    assert len(place.pack(values)) == place.words


def test_words_of_numbers():
    assert to_words(np.array([1, -1, 3]), 8, 32).tolist() == [0x03FF01]
    assert from_words(np.array([0x03FF01], dtype=np.uint64), 8, 32, signed=True).tolist() == [1, -1, 3, 0]
