"""Decoding of single images with Pillow."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from nasplug.contract.errors import DataError

Fit = Literal["crop", "stretch"]
SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})


def decode_image(
    file: Path | IO[bytes], where: str, *, channels: int, size: tuple[int, int] | None = None, fit: Fit = "crop"
) -> NDArray[np.uint8]:
    """Decodes one image.

    Args:
        file: Path or open binary file.
        where: Name of the image in error messages.
        channels: 1 for grey, 3 for red, green and blue.
        size: (height, width) to resize to, bilinear; None keeps the image's own.
        fit: "crop" keeps the aspect ratio and cuts the overhanging sides off, "stretch" keeps the whole image.

    Returns:
        uint8 array (H, W) for one channel, else (H, W, 3).

    Raises:
        DataError: The file is not an image or is truncated.
    """
    try:
        with Image.open(file) as opened:
            opened.load()
            image: Image.Image = ImageOps.exif_transpose(opened)
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise DataError(
            "cannot decode the image", where=where, why=str(error), fix="replace or remove the file"
        ) from error
    if image.mode.startswith("I;16") or image.mode == "I":
        # 16-bit grey (medical images): Pillow would clip at 255 instead of scaling.
        image = Image.fromarray((np.asarray(image, dtype=np.int64) >> 8).clip(0, 255).astype(np.uint8))
    image = image.convert("L" if channels == 1 else "RGB")
    if size is not None and image.size != (size[1], size[0]):
        target = (size[1], size[0])
        if fit == "crop":
            image = ImageOps.fit(image, target, Image.Resampling.BILINEAR)
        else:
            image = image.resize(target, Image.Resampling.BILINEAR)
    return np.asarray(image)
