"""Numbers behind the pixels of an image, where they are not 8-bit levels: what the header says, and what is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

#: Modes whose pixels are numbers of a range that only the data set knows: 16- and 32-bit integers, floats.
_DEEP = ("I", "F")
#: Tags of TIFF, and what they hold if they are left out: bits, 0 for white or for black, unsigned or signed or float.
_BITS, _PHOTOMETRIC, _FORMAT = 258, 262, 339
_WHITE_IS_ZERO, _UNSIGNED, _SIGNED = 0, 1, 2
_FIX = "convert the files to 8 bits per channel or 16-bit grey, or put float arrays into an .npz file"


@dataclass(frozen=True, slots=True)
class Depth:
    """What the pixels of a file are.

    Attributes:
        deep: Whether pixels are numbers of a range of their own instead of levels from 0 to 255.
        unsigned: Whether they are unsigned integers of 32 bits, which Pillow decodes as signed ones.
        white: The number that means black where 0 means white (TIFF's WhiteIsZero, as X-ray images have it); None
            where 0 means black. Pillow turns levels of 8 bits around, and leaves wider numbers as they are.
    """

    deep: bool
    unsigned: bool = False
    white: int | None = None

    @classmethod
    def of(cls, image: Image.Image, where: str) -> Depth:
        """Reads the header.

        Args:
            image: Opened, decoded or not.
            where: Name of the image in error messages.

        Raises:
            DataError: Pillow would decode something else than the file holds.
        """
        deep = image.mode.split(";")[0] in _DEEP
        if not deep and _loses_bits(image):
            raise DataError(
                f"the file holds {image.mode} with 16 bits per channel",
                where=where,
                why="Pillow would keep the upper 8 bits only: values 0 to 4095 would become 16 levels",
                fix=_FIX,
            )
        tags = getattr(image, "tag_v2", None)
        if tags is None or image.format != "TIFF":
            return cls(deep)
        bits, kind = max(tags.get(_BITS, (1,))), max(tags.get(_FORMAT, (_UNSIGNED,)))
        if not deep:
            if kind == _SIGNED and bits == 8:
                raise DataError(
                    f"the file holds {image.mode} with signed 8-bit numbers",
                    where=where,
                    why="Pillow would read them as unsigned: -1 would become 255",
                    fix=_FIX,
                )
            return cls(deep)
        if tags.get(_PHOTOMETRIC) != _WHITE_IS_ZERO:
            return cls(deep, kind == _UNSIGNED and bits == 32)
        if kind != _UNSIGNED:
            raise DataError(
                f"the image of mode {image.mode!r} holds signed numbers or floats, and its header says that 0 is white",
                where=where,
                why="TIFF does not say which number is black then",
                fix="write the files with 0 for black (BlackIsZero)",
            )
        return cls(deep, bits == 32, 2**bits - 1)

    def numbers(self, image: Image.Image, where: str) -> NDArray[np.float64]:
        """The pixels (H, W) of an image of this depth, larger where it is brighter.

        Args:
            image: Decoded; may be turned or cut since its header was read.
            where: Name of the image in error messages.

        Raises:
            DataError: It holds NaN or infinities.
        """
        pixels = np.asarray(image)
        values = (pixels.view(np.uint32) if self.unsigned and pixels.itemsize == 4 else pixels).astype(np.float64)
        if not np.isfinite(values).all():
            raise DataError(
                f"the image of mode {image.mode!r} holds NaN or infinite pixels",
                where=where,
                fix="replace them in the file, or remove it",
            )
        return values if self.white is None else self.white - values


def _loses_bits(image: Image.Image) -> bool:
    """Whether Pillow decodes 16 bits per channel to 8."""
    tiles = getattr(image, "tile", ())
    if any(";16" in str(tile) for tile in tiles):
        return True
    levels = [tile[3][1] for tile in tiles if tile[0].startswith("ppm") and isinstance(tile[3], tuple)]
    return any(isinstance(level, int) and level > 255 for level in levels)
