"""What happens to a volume before and after a network segments it: a record that leaves with the network."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import DataError
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.data.volumes import masks, nifti
from nasplug.data.volumes.case import affine_of
from nasplug.data.volumes.grid import Grid
from nasplug.data.volumes.intensity import Scale

if TYPE_CHECKING:
    from torch import Tensor


class VolumeWay(msgspec.Struct, frozen=True, kw_only=True):
    """The way from a file to the volume that a network segments, and from its scores to a mask on the grid of the file.

    Attributes:
        slices: Axis across which slices lie, of those to the right, the front and up.
        spacing: Size of a voxel to the right, the front and up, in millimetres; None keeps each.
        channels: Names of the channels.
        intensity: Scale of each channel.
        patch: Size of a window along each axis; two sizes are those of slices.
        overlap: Part of a window that the next one covers again.
        windows: Number of windows per batch.
        flips: Whether scores are averaged over all flips of the axes.
        values: Value of each class in masks.
        nan: Treatment of voxels that are not finite: `refuse`, or `keep`, which reads them as 0.
        kind: Kind of data.
        orientation: Directions of the axes of turned volumes.
    """

    slices: int
    spacing: tuple[float, float, float] | None
    channels: tuple[str, ...]
    intensity: tuple[Scale, ...]
    patch: tuple[int, ...]
    overlap: float
    windows: int = 4
    flips: bool = False
    values: tuple[int, ...] = ()
    nan: Literal["refuse", "keep"] = "refuse"
    kind: Literal["volume"] = "volume"
    orientation: Literal["RAS"] = "RAS"

    @classmethod
    def of(cls, plain: JsonObject) -> Self:
        """Reads what the `preprocessing` of a task says.

        Raises:
            DataError: It is something else.
        """
        try:
            way = msgspec.convert(plain, cls)
            numbers = (way.overlap, *(way.spacing or ()))
            if len(way.channels) != len(way.intensity) or not way.channels:
                raise ValueError("channels and intensities do not fit")
            if way.slices not in (0, 1, 2) or len(way.patch) not in (2, 3) or min((*way.patch, way.windows)) < 1:
                raise ValueError(f"slices={way.slices}, patch={way.patch}, windows={way.windows}")
            if not all(map(math.isfinite, numbers)) or not 0 <= way.overlap < 1 or min(way.spacing or (1,)) <= 0:
                raise ValueError(f"overlap={way.overlap}, spacing={way.spacing}")
        except (ValueError, TypeError) as error:
            raise DataError("cannot read the preprocessing", why=str(error), fix="export the network again") from error
        return way

    def to_plain(self) -> dict[str, Json]:
        """Returns plain data, as the `preprocessing` of a task."""
        plain: dict[str, Json] = msgspec.to_builtins(self)
        return plain

    @property
    def suffixes(self) -> frozenset[str]:
        """Endings of files that can be read: NIfTI, and pictures where the channels are those of pictures."""
        return frozenset(nifti.ENDINGS + (masks.ENDINGS if self.channels in masks.CHANNELS else ()))

    def read(self, path: Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Reads the channels of a file.

        Args:
            path: NIfTI file with all channels, or a picture.

        Returns:
            Intensities (C, X, Y, Z), and the map from voxel positions to millimetres (4, 4).

        Raises:
            DataError: The file is damaged, holds another number of channels, or voxels that are not finite.
        """
        if not path.name.lower().endswith(tuple(self.suffixes)):
            raise DataError(
                "the network does not take such files",
                where=str(path),
                fix=f"give files that end in {', '.join(sorted(self.suffixes))}",
            )
        if _is_picture(path):
            return masks.read_channels(path, len(self.channels)), affine_of((1, 1, 1))
        image, affine = nifti.read_channels(path, len(self.channels))
        if not np.isfinite(image).all():
            if self.nan == "refuse":
                raise DataError(
                    "the image holds NaN or infinity",
                    where=str(path),
                    why="the network was trained on data without",
                    fix="replace these voxels, or train with preparation: {nan: keep}",
                )
            image = np.nan_to_num(image, posinf=0.0, neginf=0.0)
        return image, affine

    def prepared(self, image: NDArray[np.float32], affine: NDArray[np.float64]) -> tuple[NDArray[np.float32], Grid]:
        """Scales, turns and resamples a volume.

        Args:
            image: Intensities (C, X, Y, Z) of the file.
            affine: Map from voxel positions to millimetres (4, 4).

        Returns:
            Volume (C, X', Y', Z') that the network segments, and the way between both grids.
        """
        grid = Grid.of(image.shape[1:], affine, self.spacing, self.slices)
        scaled = np.stack([scale.apply(channel) for scale, channel in zip(self.intensity, image, strict=True)])
        return grid.image(scaled), grid

    def mask(self, scores: Tensor, grid: Grid) -> NDArray[np.int32]:
        """Returns the value of the best class of each voxel (X, Y, Z) on the grid of the file.

        Args:
            scores: Scores (K, X', Y', Z') on the grid of the network.
            grid: Way between both grids.
        """
        best: NDArray[np.int64] = grid.back(scores).argmax(0).numpy()
        values = np.asarray(self.values or range(len(scores)), np.int32)
        return values[best]

    def path_of(self, image: Path, folder: Path) -> Path:
        """Returns the path of the mask of a file: that of `scan.nii.gz` is `FOLDER/scan_seg.nii.gz`.

        Args:
            image: File that is segmented.
            folder: Folder of masks.
        """
        return folder / (f"{image.stem}_seg.png" if _is_picture(image) else f"{nifti.stem(image)}_seg.nii.gz")

    def write(self, mask: NDArray[np.int32], image: Path, path: Path) -> None:
        """Writes a mask with the directions, the place and the spacing of the image.

        Args:
            mask: Value of each voxel (X, Y, Z).
            image: File that was segmented.
            path: File to write.
        """
        if _is_picture(image):
            masks.write_mask(mask[..., 0], path)
        else:
            nifti.write_mask(mask, image, path)


def _is_picture(path: Path) -> bool:
    return path.name.lower().endswith(masks.ENDINGS)
