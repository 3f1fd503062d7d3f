"""Patches cut out of memory-mapped volumes.

With plain arrays this takes some ten microseconds. MONAI's crop, pad and flips follow the coordinates of every patch
through each step, which took longer than a small network needs to learn from it, and nobody asks a patch where it was.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Cutter:
    """Draws a patch of one size out of a case, and perhaps flips it.

    Args:
        size: Size of a patch along each axis; two sizes cut slices across the last axis.
        foreground: Part of the patches whose centre lies in a class of the foreground, each class alike.
        flips: Whether each axis is flipped in half of the patches.
    """

    def __init__(self, size: Sequence[int], foreground: float, flips: bool) -> None:
        self._flat = len(size) == 2
        self._size = (*size, 1) if self._flat else tuple(size)
        self._foreground, self._flips = foreground, flips

    def __call__(
        self,
        image: NDArray[np.float32],
        label: NDArray[np.uint8],
        centres: Sequence[NDArray[np.int64]],
        rng: np.random.Generator,
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Returns copies of intensities (C, *size) and classes (1, *size); what lies outside of the volume is 0.

        A patch whose centre is near the border of the volume is moved inwards. Classes that the case does not hold are
        not drawn.

        Args:
            image: Intensities (C, X, Y, Z).
            label: Class of each voxel (X, Y, Z).
            centres: Flat positions of voxels of each class, the background first.
            rng: Source of all draws.
        """
        centre = self._centre(label.shape, centres, rng)
        window, pads = [], []
        for middle, side, full in zip(centre, self._size, label.shape, strict=True):
            first = max(0, min(middle - side // 2, full - side))
            missing = max(0, side - full)
            window.append(slice(first, first + side))
            pads.append((missing // 2, missing - missing // 2))
        patch, mask = image[(slice(None), *window)], label[tuple(window)][None]
        if any(before + after for before, after in pads):
            patch, mask = np.pad(patch, [(0, 0), *pads]), np.pad(mask, [(0, 0), *pads])
        if self._flat:
            patch, mask = patch[..., 0], mask[..., 0]
        if self._flips:
            axes = 1 + np.flatnonzero(rng.random(patch.ndim - 1) < 0.5)
            patch, mask = np.flip(patch, tuple(axes)), np.flip(mask, tuple(axes))
        # Views would hold on to the files, and a network that writes to its input would write to them.
        return np.array(patch, order="C"), np.array(mask, order="C")

    def _centre(
        self, shape: Sequence[int], centres: Sequence[NDArray[np.int64]], rng: np.random.Generator
    ) -> tuple[int, ...]:
        share = self._foreground / (len(centres) - 1)
        wanted = np.array([1.0 - self._foreground, *[share] * (len(centres) - 1)])
        held = np.array([len(positions) > 0 for positions in centres])
        chances = wanted * held if (wanted * held).any() else held.astype(float)
        positions = centres[rng.choice(len(centres), p=chances / chances.sum())]
        return tuple(int(axis) for axis in np.unravel_index(positions[rng.integers(len(positions))], shape))
