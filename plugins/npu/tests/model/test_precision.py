"""Stored bits of every encoding, worked out by hand."""

from __future__ import annotations

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
