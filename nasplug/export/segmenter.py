"""Masks that an exported network makes of files of volumes or pictures, on the grid of each file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import DataError, StorageError
from nasplug.data.volumes.case import spacing_of
from nasplug.data.volumes.way import VolumeWay

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Segmented:
    """The mask of one file.

    Attributes:
        file: Path of the file.
        mask: Path of the mask.
        volumes: Volume of each class but the background in cubic millimetres, by its name; of pictures, pixels.
    """

    file: Path
    mask: Path
    volumes: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """Returns JSON data."""
        return {"file": str(self.file), "mask": str(self.mask), "volumes": dict(self.volumes)}


class Segmenter:
    """A network that segments files as it segmented the validation cases of its search.

    Args:
        run: Function from windows (N, C, *size) to scores (N, K, *size).
        facts: Preprocessing and classes, as every format carries them.
        where: Name of the network in messages.

    Attributes:
        way: Way from a file to the volume that the network segments, and back.

    Raises:
        StorageError: The network does not say how files become its input.
    """

    def __init__(
        self, run: Callable[[NDArray[Any]], NDArray[np.float64]], facts: Mapping[str, Any], where: str
    ) -> None:
        try:
            self.way = VolumeWay.of(facts["preprocessing"])
            self._classes = tuple(map(str, facts["classes"]))
        except DataError as error:
            error.within(where)
            raise
        except (KeyError, TypeError):
            raise StorageError("it does not name its classes", where=where, fix="export the network again") from None
        self._run, self._where = run, where

    def predict(self, files: Iterable[Path], folder: Path) -> Iterator[Segmented]:
        """Writes the mask of each file, `NAME_seg.nii.gz` or `NAME_seg.png`, and yields what it holds.

        Args:
            files: Paths of the files; those of NIfTI hold all channels.
            folder: Folder to write into; made if it does not exist.

        Raises:
            DataError: A file cannot be read, or holds something else than the training data, or two have one name.
            StorageError: The network does not take, or does not answer, what it says of itself.
        """
        folder.mkdir(parents=True, exist_ok=True)
        written: dict[Path, Path] = {}
        for file in files:
            mask, affine = self.segment(file)
            path = self.way.path_of(file, folder)
            if path in written:
                raise DataError(
                    f"{written[path]} and {file} would write one mask", where=str(path), fix="segment them by turns"
                )
            written[path] = file
            self.way.write(mask, file, path)
            size = float(np.prod(spacing_of(affine)))
            values = self.way.values or tuple(range(len(self._classes)))
            volumes = {
                name: float((mask == value).sum()) * size
                for name, value in list(zip(self._classes, values, strict=True))[1:]
            }
            yield Segmented(file, path, volumes)

    def segment(self, file: Path) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Segments a file.

        Args:
            file: Path of the file.

        Returns:
            Value of the class of each voxel (X, Y, Z), and the map from voxel positions to millimetres (4, 4).

        Raises:
            DataError: The file cannot be read, or holds something else than the training data.
            StorageError: The network does not take, or does not answer, what it says of itself.
        """
        import torch

        from nasplug.tasks.segmentation.inference import segment
        from nasplug.tasks.segmentation.settings import Scoring

        image, affine = self.way.read(file)
        volume, grid = self.way.prepared(image, affine)
        scoring = Scoring(overlap=self.way.overlap, flips=self.way.flips, windows=self.way.windows)
        with torch.inference_mode():
            scores = segment(self._answered, torch.from_numpy(volume), self.way.patch, scoring)
        return self.way.mask(scores, grid), affine

    def _answered(self, windows: Tensor) -> Tensor:
        import torch

        try:
            answer = self._run(windows.numpy())
            expected = (len(windows), len(self._classes), *windows.shape[2:])
            if answer.shape != expected:
                raise ValueError(f"it answers {answer.shape}, expected {expected}")
        except Exception as error:  # of whatever runs the network
            raise StorageError(
                "the network does not answer as its description says",
                where=self._where,
                why=" ".join(str(error).split())[:300],
                fix="export the network again",
            ) from error
        return torch.from_numpy(answer).float()
