"""What happens to raw data before a network gets them, as a record that leaves with the network."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import DataError
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.contract.wording import plural
from nasplug.data.images import SUFFIXES, Fit, decode_image, inspect_image

if TYPE_CHECKING:
    from nasplug.data.arrays import Images


#: Pixels along a side, at most.
_LARGEST = 1 << 16

PixelType = Literal["uint8", "float32"]


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The way from an image to the tensor that a network is called with.

    The image is turned upright, put in front of the background where it is transparent, brought to grey or RGB, and to
    one size, in this order. A pixel `p` of channel `c` then becomes
    `((p - low) / (high - low) - mean[c]) / std[c]` with `low, high = span`.

    Attributes:
        size: Height and width in pixels.
        channels: 1 for grey (weights of ITU-R 601 where a file has colours), 3 for red, green and blue.
        pixels: Type of the raw pixels.
        span: Raw pixel values that become 0 and 1.
        fit: Way of resizing images of another size, bilinear: "crop" cuts overhanging sides off, "stretch" keeps all.
        background: Grey level, 0 to 255, behind transparent pixels.
        mean: Mean per channel, after the span.
        std: Standard deviation per channel, after the span.
    """

    size: tuple[int, int]
    channels: int
    pixels: PixelType = "uint8"
    span: tuple[float, float] = (0.0, 255.0)
    fit: Fit = "crop"
    background: int = 255
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    @property
    def suffixes(self) -> frozenset[str]:
        """Endings of files that can be read."""
        return SUFFIXES

    @classmethod
    def of_arrays(cls, shape: tuple[int, ...], pixels: PixelType) -> Self:
        """Returns the way of images that a source has as arrays: uint8 levels, or numbers as they are.

        Args:
            shape: Shape (C, H, W) of one image.
            pixels: Type of the arrays.
        """
        span = (0.0, 255.0) if pixels == "uint8" else (0.0, 1.0)
        return cls((shape[1], shape[2]), shape[0], pixels, span)

    @classmethod
    def of(cls, plain: JsonObject) -> Self:
        """Reads what `to_plain` returned.

        Raises:
            DataError: It is something else.
        """
        try:
            made = msgspec.convert(plain, cls)
            (height, width), (low, high) = made.size, made.span
            if not (1 <= height <= _LARGEST and 1 <= width <= _LARGEST and made.channels >= 1):
                raise ValueError(f"images of {height} x {width} pixels and {plural(made.channels, 'channel')}")
            if not (math.isfinite(high - low) and high > low):
                raise ValueError(f"the span is {made.span}")
            if any(len(values) not in (1, made.channels) for values in (made.mean, made.std)):
                raise ValueError(f"the mean is {made.mean}, the standard deviation {made.std}")
        except (ValueError, OverflowError) as error:
            raise DataError("cannot read the preprocessing", why=str(error), fix="export the network again") from error
        return made

    def to_plain(self) -> dict[str, Json]:
        """Returns JSON data."""
        fields = dataclasses.asdict(self).items()
        return {"kind": "image", **{key: list(value) if isinstance(value, tuple) else value for key, value in fields}}

    def normalised(self, mean: NDArray[np.floating], std: NDArray[np.floating]) -> Self:
        """Returns a copy with these statistics (C,)."""
        return dataclasses.replace(self, mean=tuple(map(float, mean)), std=tuple(map(float, std)))

    def affine(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns factor and summand (C,) each: a network gets `(pixel - low) * factor + summand`."""
        mean, std = np.asarray(self.mean), np.asarray(self.std)
        return 1.0 / (self.span[1] - self.span[0]) / std, -mean / std

    def read(self, path: Path, where: str | None = None) -> Images:
        """Returns the raw pixels (C, H, W) of one file, with the type `pixels`, as the network's data were read.

        Files of 8-bit levels are brought to the span of data that were arrays of numbers.

        Args:
            path: The file.
            where: Name in error messages; None means the path.

        Raises:
            DataError: The file cannot be decoded, or holds another kind of pixels.
        """
        where, (low, high) = where or str(path), self.span
        deep = inspect_image(path, where).deep
        if deep and self.pixels == "uint8":
            raise DataError(
                "the image holds numbers of any range, and the network was trained on 8-bit levels",
                where=where,
                fix="convert the file to 8 bits per channel, as the training data are",
            )
        image = decode_image(
            path,
            where,
            channels=self.channels,
            size=self.size,
            fit=self.fit,
            background=self.background,
            span=self.span if deep else None,
        )
        if self.pixels == "float32":
            if not deep and (low, high) != (0.0, 1.0):
                raise DataError(
                    f"the image holds 8-bit levels, and the network was trained on numbers from {low:g} to {high:g}",
                    where=where,
                    fix="give files of the kind that the training data are",
                )
            unit = image if deep else image / 255.0
            image = (unit.astype(np.float64) * (high - low) + low).astype(np.float32)
        return image[None] if image.ndim == 2 else np.moveaxis(image, 2, 0)

    def __str__(self) -> str:
        height, width = self.size
        colour = {1: "grey", 3: "RGB"}.get(self.channels, plural(self.channels, "channel"))
        return f"{colour}, {height} x {width} pixels"
