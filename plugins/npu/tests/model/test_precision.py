"""Stored bits of every encoding, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from nasplug_npu.model.precision import stored_bits


@pytest.mark.parametrize(
    ("encoding", "density", "bits", "wanted"),
    [
        ("dense", 0.25, 8, 8),
        ("bitmask", 0.25, 8, 0.25 * 8 + 1),
        ("bitmask", 0.875, 8, 8),
        ("bitmask", 1.0, 8, 8),
        ("csc", 0.25, 8, 0.25 * (8 + 8)),
        ("csc", 0.25, 2, 2),  # an index costs more than the zeros
        ("rle4", 0.25, 8, 3 + 3 * 0.75**16),  # every sixteenth zero in a row costs an element of 12 bits
        ("rle1", 0.25, 8, 0.25 * 9 * (1 + 0.75**2)),
        ("rle4", 1.0, 8, 8),
        ("nm2:4", 0.5, 8, 0.5 * (8 + 2)),  # exactly as many as the structure allows
        ("nm2:4", 0.25, 8, 0.5 * (8 + 2)),  # fewer are stored as if they were as many
        ("nm2:4", 0.51, 8, 8),
        ("nm1:8", 0.125, 4, 0.125 * (4 + 3)),
    ],
)
def test_bits_of_an_element(encoding, density, bits, wanted):
    assert stored_bits(bits, density, encoding) == pytest.approx(wanted, rel=1e-12)


def test_compressed_weights_take_what_was_measured():
    measured = {(8, 1.0): 7.4136, (8, 0.5): 4.6892, (4, 0.25): 1.5848, (2, 0.1): 0.5902}
    for (bits, density), stored in measured.items():
        assert stored_bits(bits, density, "mlw") == pytest.approx(stored)
    bits, density = np.array([[8.0], [6.0], [3.0], [1.0], [16.0]]), np.array([[0.6], [1.0], [0.5], [1.0], [1.0]])
    found = stored_bits(bits, density, "mlw").ravel()
    assert found[0] == pytest.approx(4.6892 + 0.4 * (7.4363 - 4.6892))
    assert found[1] == pytest.approx((7.4136 + 3.0543) / 2)
    assert found[2] == pytest.approx((2.6914 + 1.5408) / 2)
    assert found[3] == pytest.approx(1.0830 / 2)  # narrower than any that was measured: in proportion
    assert found[4] == pytest.approx(2 * 7.4136)
    assert stored_bits(8, 0.0, "mlw") == 0
