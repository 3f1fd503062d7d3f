"""Decoding of single images with Pillow: every mode becomes 8-bit levels or numbers of its own range, or is refused."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from nasplug.contract.errors import DataError
from nasplug.data.depth import Depth

if TYPE_CHECKING:
    from nasplug.data.arrays import Images


Fit = Literal["crop", "stretch"]
SUFFIXES = frozenset(
    {
        *(".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm"),
        *(".tif", ".tiff", ".webp"),
    }
)

#: Modes that Pillow turns into grey or colour without loss of meaning.
_SHALLOW = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "HSV"})
_GREY = frozenset({"1", "L", "LA", "La"})
#: Formats whose further frames are pictures of their own; in others, such as MPO, they belong to the first.
_SEQUENCES = frozenset({"GIF", "TIFF", "PNG", "WEBP"})
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the header of a file says.

    Attributes:
        size: Height and width in pixels, upright.
        mode: Pillow's name for the kind of pixels.
        grey: Whether there is one channel, transparency aside.
        depth: Kind of the pixels.
        alpha: Whether pixels may be transparent.
    """

    size: tuple[int, int]
    mode: str
    grey: bool
    depth: Depth
    alpha: bool

    @property
    def deep(self) -> bool:
        """Whether pixels are numbers of a range of their own instead of 0 to 255."""
        return self.depth.deep


def inspect_image(file: Path | IO[bytes], where: str) -> ImageFacts:
    """Reads the header of one image and decodes nothing.

    Args:
        file: Path or open binary file.
        where: Name of the image in error messages.

    Raises:
        DataError: The file is not an image, or of a kind that would be decoded wrongly.
    """
    with _opened(file, where) as image:
        return _facts(image, where)


def decode_image(
    file: Path | IO[bytes],
    where: str,
    *,
    channels: int,
    size: tuple[int, int] | None = None,
    fit: Fit = "crop",
    background: int = 255,
    span: tuple[float, float] | None = None,
) -> Images:
    """Decodes one image.

    Args:
        file: Path or open binary file.
        where: Name of the image in error messages.
        channels: 1 for grey, 3 for red, green and blue.
        size: (height, width) to resize to, bilinear; None keeps the image's own.
        fit: "crop" keeps the aspect ratio and cuts the overhanging sides off, "stretch" keeps the whole image.
        background: Grey level, 0 to 255, behind transparent pixels.
        span: Numbers that become 0 and 1, for 16- and 32-bit integers and floats.

    Returns:
        Array (H, W) for one channel, else (H, W, 3): uint8 levels, or float32 where there is a `span`.

    Raises:
        DataError: The file is not an image or is truncated, of a kind that would be decoded wrongly, or it is one of
            numbers and there is no `span`, or the other way round.
    """
    with _opened(file, where) as opened:
        facts = _facts(opened, where)
        opened.load()
        image: Image.Image = ImageOps.exif_transpose(opened)
        if facts.deep != (span is not None):
            raise _other_depth(facts, where)
        if span is not None:
            image = _scaled(facts.depth.numbers(image, where), span)
        else:
            image = _composed(image, background) if facts.alpha else image
            image = image.convert("L" if channels == 1 else "RGB")
        if size is not None and image.size != (size[1], size[0]):
            image = _resized(image, size, fit)
        pixels = np.asarray(image)
        return np.repeat(pixels[..., None], 3, axis=2) if channels == 3 and pixels.ndim == 2 else pixels


def value_range(file: Path | IO[bytes], where: str) -> tuple[float, float]:
    """Returns the smallest and the largest number in an image of integers or floats.

    Args:
        file: Path or open binary file.
        where: Name of the image in error messages.

    Raises:
        DataError: The file cannot be decoded, or holds NaN or infinities.
    """
    with _opened(file, where) as image:
        depth = Depth.of(image, where)
        image.load()
        values = depth.numbers(image, where)
    return float(values.min()), float(values.max())


def _resized(image: Image.Image, size: tuple[int, int], fit: Fit) -> Image.Image:
    """Along rows, then along columns: which of them comes first makes a level of difference, and depends on Pillow."""
    width, height = image.size
    wide, high = float(width), float(height)
    if fit == "crop":
        ratio = size[1] / size[0]
        wide, high = min(width, ratio * height), min(height, width / ratio)
    left, top = (width - wide) * 0.5, (height - high) * 0.5
    rows = image.resize((size[1], height), Image.Resampling.BILINEAR, box=(left, 0, left + wide, height))
    return rows.resize((size[1], size[0]), Image.Resampling.BILINEAR, box=(0, top, size[1], top + high))


@contextmanager
def _opened(file: Path | IO[bytes], where: str) -> Iterator[Image.Image]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of strange metadata
            with Image.open(file) as image:
                yield image
    except DataError:
        raise
    except Exception as error:  # readers of damaged formats raise anything
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError("cannot decode the image", where=where, why=why, fix="replace or remove the file") from error


def _facts(image: Image.Image, where: str) -> ImageFacts:
    mode = image.mode
    depth = Depth.of(image, where)
    if not depth.deep and mode not in _SHALLOW:
        raise DataError(
            f"pixels of mode {mode!r} are not understood", where=where, fix="convert the file to grey or RGB"
        )
    frames = int(getattr(image, "n_frames", 1)) if image.format in _SEQUENCES else 1
    if frames > 1:
        raise DataError(
            f"the file holds {frames} pictures",
            where=where,
            why="only the first one would be used",
            fix="write each picture into a file of its own",
        )
    width, height = image.size
    if image.getexif().get(_ORIENTATION) in _TURNED:
        width, height = height, width
    alpha = not depth.deep and bool(image.has_transparency_data)
    return ImageFacts((height, width), mode, depth.deep or mode in _GREY or _grey_palette(image), depth, alpha)


def _grey_palette(image: Image.Image) -> bool:
    """Whether all colours of a palette are grey."""
    colours = image.getpalette("RGB") if image.mode in ("P", "PA") else None
    if not colours:
        return False
    table = np.asarray(colours).reshape(-1, 3)
    return bool((table == table[:, :1]).all())


def _composed(image: Image.Image, background: int) -> Image.Image:
    """The image in front of a grey background, without transparency."""
    front = image.convert("RGBA")
    level = (background, background, background, 255)
    return Image.alpha_composite(Image.new("RGBA", front.size, level), front).convert("RGB")


def _scaled(values: NDArray[np.float64], span: tuple[float, float]) -> Image.Image:
    low, high = span
    return Image.fromarray(((values - low) / (high - low)).astype(np.float32))


def _other_depth(facts: ImageFacts, where: str) -> DataError:
    kind, others = ("numbers of any range", "8-bit levels") if facts.deep else ("8-bit levels", "numbers of any range")
    return DataError(
        f"the image of mode {facts.mode!r} holds {kind}, and the others hold {others}",
        where=where,
        why="the two cannot be brought to one range",
        fix="convert all files to one kind",
    )
