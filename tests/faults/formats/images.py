"""Images: a good one of each kind, and what strangers write."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image


def image(kind: str, mode: str = "RGB") -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        pixels = np.arange(24 * 20 * 3, dtype=np.uint8).reshape(24, 20, 3)
        if mode == "I;16":
            image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
        else:
            image = Image.fromarray(pixels).convert(mode)
        image.save(folder / f"image.{kind}")

    return write


def read_image(path: Path) -> object:
    from nasplug.data.images import decode_image, inspect_image, value_range

    facts = inspect_image(path, str(path))
    span = value_range(path, str(path)) if facts.deep else None
    return decode_image(path, str(path), channels=3, size=(8, 8), span=span and (span[0], span[1] + 1))


def _png(width: int, height: int, data: bytes, kind: int = 0, more: bytes = b"") -> bytes:
    import zlib

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + more + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def png_attacks(good: bytes, folder: Path) -> Iterable[tuple[str, bytes]]:
    import zlib

    zeros = zlib.compress(bytes(50_000_000), 9)
    text = zlib.compress(b"a" * 50_000_000, 9)
    name = b"zTXt"
    body = b"Comment\0\0" + text
    chunk = struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    yield "of two gigapixels", _png(50_000, 40_000, zeros)
    yield "of all pixels there are", _png(2**31 - 1, 2**31 - 1, zeros)
    yield "without pixels", _png(0, 0, zlib.compress(b""))
    yield "with too few pixels", _png(2000, 2000, zlib.compress(bytes(100)))
    yield "with too many pixels", _png(3, 3, zeros)
    yield "with a text that grows", _png(3, 3, zlib.compress(bytes(12)), more=chunk)


def ppm_attacks(good: bytes, folder: Path) -> Iterable[tuple[str, bytes]]:
    yield "of two gigapixels", b"P6 50000 40000 255\n" + bytes(100)
    yield "of negative size", b"P6 -3 4 255\n" + bytes(100)
    yield "of words", b"P6 " + b"9" * 5000 + b" 4 255\n"
    yield "of depth nothing", b"P6 3 4 0\n" + bytes(100)


def gif_attacks(good: bytes, folder: Path) -> Iterable[tuple[str, bytes]]:
    yield "of its largest size", good[:6] + b"\xff\xff\xff\xff" + good[10:]
