"""From the grid of a file to the grid of the networks, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import DataError
from nasplug.data.volumes.case import spacing_of

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Grid:
    """How one case is turned and resampled.

    Attributes:
        order: Axis of the file for each axis of the turned volume.
        flips: Whether each axis of the turned volume runs the other way than in the file.
        turned: Shape after turning.
        shape: Shape after resampling, which networks see.
        spacing: Size of a voxel along each axis after resampling, in millimetres.
    """

    order: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    turned: tuple[int, int, int]
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]

    @classmethod
    def of(
        cls,
        shape: Sequence[int],
        affine: NDArray[np.float64],
        spacing: Sequence[float] | None = None,
        slices: int = 2,
    ) -> Grid:
        """Finds the way of one case: axes run to the right, the front and up; then that of the slices comes last.

        Args:
            shape: Shape in the file.
            affine: Map from voxel positions to millimetres (4, 4).
            spacing: Wanted size of a voxel to the right, the front and up; None keeps each.
            slices: Axis, after turning, across which slices lie; it is moved to the end.

        Raises:
            DataError: The affine map has no directions.
        """
        order, flips = directions(affine)
        own = spacing_of(affine)
        wanted = [own[axis] for axis in order] if spacing is None else list(spacing)
        last = [axis for axis in range(3) if axis != slices] + [slices]
        order, flips = [order[axis] for axis in last], [flips[axis] for axis in last]
        wanted = [wanted[axis] for axis in last]
        turned = [int(shape[axis]) for axis in order]
        sizes = [
            max(1, round(size * own[axis] / want)) if abs(own[axis] / want - 1) > 1e-2 else size
            for size, axis, want in zip(turned, order, wanted, strict=True)
        ]
        real = [own[axis] * size / new for size, axis, new in zip(turned, order, sizes, strict=True)]
        return cls(_three(order), _three(flips), _three(turned), _three(sizes), _three(real))

    @property
    def resamples(self) -> bool:
        """Whether the number of voxels changes."""
        return self.turned != self.shape

    def turn(self, volume: NDArray[Any]) -> NDArray[Any]:
        """Turns (..., X, Y, Z) of the file; makes no copy."""
        lead = volume.ndim - 3
        moved: NDArray[Any] = volume.transpose(*range(lead), *(lead + axis for axis in self.order))
        turned: NDArray[Any] = np.flip(moved, tuple(lead + axis for axis, flip in enumerate(self.flips) if flip))
        return turned

    def image(self, volume: NDArray[np.float32]) -> NDArray[np.float32]:
        """Brings intensities (C, X, Y, Z) of the file to the grid of the networks."""
        turned = np.ascontiguousarray(self.turn(volume), dtype=np.float32)
        if not self.resamples:
            return turned
        import torch

        resampled = _resized(torch.from_numpy(turned)[None], self.shape)[0]
        return np.asarray(resampled.numpy(), np.float32)

    def label(self, volume: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Brings a mask (X, Y, Z) of the file to the grid of the networks: each class linearly, then the largest."""
        turned = np.ascontiguousarray(self.turn(volume))
        if not self.resamples:
            return turned
        import torch

        best = torch.full(self.shape, -1.0)
        found = torch.zeros(self.shape, dtype=torch.uint8)
        for value in np.unique(turned).tolist():
            part = _resized(torch.from_numpy((turned == value).astype(np.float32))[None, None], self.shape)[0, 0]
            found[part > best] = value
            best = torch.maximum(best, part)
        return found.numpy()

    def back(self, scores: Tensor) -> Tensor:
        """Brings scores (C, *shape) of a network to the grid of the file (C, X, Y, Z)."""
        if self.resamples:
            scores = _resized(scores[None].float(), self.turned)[0]
        scores = scores.flip([1 + axis for axis, flip in enumerate(self.flips) if flip])
        return scores.permute(0, *(1 + self.order.index(axis) for axis in range(3)))

    @property
    def file_spacing(self) -> tuple[float, ...]:
        """Size of a voxel along each axis of the file, in millimetres."""
        real = [each * new / old for each, new, old in zip(self.spacing, self.shape, self.turned, strict=True)]
        return tuple(real[self.order.index(axis)] for axis in range(3))


def directions(affine: NDArray[np.float64]) -> tuple[list[int], list[bool]]:
    """Returns the axis of the file that runs most to the right, the front and up, and whether it runs the other way.

    Args:
        affine: Map from voxel positions to millimetres (4, 4).

    Raises:
        DataError: An axis has no direction.
    """
    cosines = affine[:3, :3] / np.maximum(np.asarray(spacing_of(affine)), 1e-12)
    order, flips = [-1, -1, -1], [False, False, False]
    left = np.abs(cosines)
    for _ in range(3):
        world, axis = np.unravel_index(int(left.argmax()), left.shape)
        if left[world, axis] <= 1e-6:
            raise DataError("the axes of the volume have no directions", where="affine", fix="correct the header")
        order[world], flips[world] = int(axis), bool(cosines[world, axis] < 0)
        left[world, :], left[:, axis] = -1, -1
    return order, flips


def orientation(affine: NDArray[np.float64]) -> str:
    """Returns the direction of each axis of the file, such as `RAS` or `LPS`."""
    order, flips = directions(affine)
    letters = [""] * 3
    for world, (axis, flip) in enumerate(zip(order, flips, strict=True)):
        letters[axis] = ("RAS", "LPI")[flip][world]
    return "".join(letters)


def _resized(volume: Tensor, shape: Sequence[int]) -> Tensor:
    from torch.nn import functional

    return functional.interpolate(volume, size=tuple(shape), mode="trilinear", align_corners=False)


def _three(values: Sequence[Any]) -> tuple[Any, Any, Any]:
    return values[0], values[1], values[2]
