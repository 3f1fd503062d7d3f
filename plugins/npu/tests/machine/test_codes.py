"""Lines in whole numbers: right at every sum, with exceptions where they must be."""

from __future__ import annotations

import numpy as np
import pytest
from nasplug_npu.machine.codes import Steps, line_in_whole_numbers

from nasplug.contract.errors import SpecError


def test_a_line_in_whole_numbers_is_right_at_every_sum(rng):
    channels, bound = 6, 3000
    slope = rng.uniform(0.005, 0.2, channels) * np.where(np.arange(channels) % 2, -1, 1)
    offset = rng.uniform(0, 255, channels)
    low, high = np.zeros(channels, dtype=np.int64), np.full(channels, 255)
    at, step = rng.integers(-bound, bound, (channels, 1)), np.ones((channels, 1), dtype=np.int64)
    line = line_in_whole_numbers(slope, offset, low, high, at, step, bound)
    sums = np.broadcast_to(np.arange(-bound, bound + 1), (channels, 2 * bound + 1))
    wanted = np.clip(np.floor(sums * slope[:, None] + offset[:, None]), 0, 255) + (sums == at)
    assert np.array_equal(line.levels(sums), wanted)
    words = line.records()
    assert words.shape == (channels, 4 + line.at.shape[1])
    assert np.array_equal(words[:, 3] & 255, low)


def test_a_line_whose_thresholds_lie_on_sums_gets_exceptions():
    """A slope of a third has no finite binary form: where a level begins exactly at a sum, rounding decides."""
    slope, offset = np.array([1 / 3]), np.array([0.0])
    nothing = np.zeros((1, 0), dtype=np.int64)
    line = line_in_whole_numbers(slope, offset, np.array([0]), np.array([3]), nothing, nothing, 20)
    sums = np.arange(-20, 21)[None]
    assert np.array_equal(line.levels(sums), np.clip(np.floor(sums * slope[0] + offset[0]), 0, 3))


def test_sums_that_are_too_large_are_refused():
    one = np.ones((1, 0), dtype=np.int64)
    with pytest.raises(SpecError, match="sums up to 134217728"):
        line_in_whole_numbers(np.ones(1), np.ones(1), np.zeros(1, int), np.ones(1, int), one, one, 1 << 27)


def test_steps_count_thresholds():
    steps = Steps(np.array([[0, 5, 9]]))
    assert steps.levels(np.array([[-1, 0, 4, 5, 8, 9, 100]])).tolist() == [[0, 1, 1, 2, 2, 3, 3]]
    with pytest.raises(SpecError, match="16 thresholds"):
        Steps(np.zeros((1, 16), dtype=np.int64)).records()
