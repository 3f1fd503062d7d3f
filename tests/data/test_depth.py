"""Numbers wider than 8 bits, as headers of real files state them: right, or refused."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from nasplug.contract.errors import DataError
from nasplug.data import ImageFolder

#: 8 x 6 pixels with 48 levels from 0 to 235.
RAMP = (np.arange(48).reshape(8, 6) * 5).astype(np.int64)
WHITE_IS_ZERO, BLACK_IS_ZERO = 0, 1
UNSIGNED, SIGNED, FLOAT = 1, 2, 3


def tiff(pixels, photometric=BLACK_IS_ZERO, kind=UNSIGNED):
    """The bytes of an uncompressed TIFF with one channel, as instruments write them and Pillow does not."""
    order = ">" if pixels.dtype.byteorder == ">" else "<"
    height, width = pixels.shape
    data = pixels.tobytes()
    bits = 8 * pixels.dtype.itemsize
    entries = [(256, width), (257, height), (258, bits), (259, 1), (262, photometric)]
    start = 8 + 2 + 12 * 10 + 4
    entries += [(273, start), (277, 1), (278, height), (279, len(data)), (339, kind)]
    made = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HIH", 42, 8, len(entries))
    for tag, value in entries:
        made += struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0)
    return made + struct.pack(f"{order}I", 0) + data


def folder(tmp_path, make, suffix=".tif"):
    for label, ramp in (("a", RAMP), ("b", RAMP[::-1])):
        (tmp_path / "d" / label).mkdir(parents=True)
        for number in range(2):
            (tmp_path / "d" / label / f"{number}{suffix}").write_bytes(make(ramp))
    return ImageFolder(str(tmp_path / "d"))


@pytest.mark.parametrize(
    ("make", "span"),
    [
        (lambda ramp: tiff((ramp * 17).astype(">u2")), (0, 3995)),
        (lambda ramp: tiff((ramp * 17 - 1000).astype("<i2"), kind=SIGNED), (-1000, 2995)),
        (lambda ramp: tiff((ramp * 17_000_000).astype("<u4")), (0, 3_995_000_000)),
        (lambda ramp: tiff((ramp * 17 - 1000).astype("<i4"), kind=SIGNED), (-1000, 2995)),
        (lambda ramp: tiff((65535 - ramp * 100).astype("<u2"), WHITE_IS_ZERO), (0, 23500)),
        (lambda ramp: tiff((ramp / 235).astype(">f4"), kind=FLOAT), (0, 1)),
    ],
    ids=["big-endian", "signed 16", "unsigned 32", "signed 32", "0 is white", "float"],
)
def test_what_is_brighter_is_larger(tmp_path, make, span):
    arrays = folder(tmp_path, make).load()
    np.testing.assert_allclose(arrays.x_train[0], RAMP / 235, atol=1e-6)
    assert arrays.preprocessing.span == pytest.approx(span)
    read = arrays.preprocessing.read(tmp_path / "d" / "a" / "0.tif")[0]
    np.testing.assert_allclose((read - span[0]) / (span[1] - span[0]), RAMP / 235, atol=1e-6)


def test_levels_whose_zero_is_white_are_turned_around(tmp_path):
    arrays = folder(tmp_path, lambda ramp: tiff((255 - ramp).astype("u1"), WHITE_IS_ZERO)).load()
    assert (arrays.x_train[0] == RAMP).all()


@pytest.mark.parametrize(
    ("make", "suffix", "message"),
    [
        (lambda ramp: tiff((ramp - 120).astype("i1"), kind=SIGNED), ".tif", r"0\.tif: the file holds L with signed"),
        (
            lambda ramp: tiff((ramp / 235).astype("<f4"), WHITE_IS_ZERO, FLOAT),
            ".tif",
            r"0\.tif: the image of mode 'F'[\s\S]*0 is white",
        ),
        (
            lambda ramp: b"P6\n6 8\n4095\n" + np.repeat((ramp * 17)[..., None], 3, -1).astype(">u2").tobytes(),
            ".ppm",
            r"0\.ppm: the file holds RGB with 16 bits per channel",
        ),
    ],
    ids=["signed bytes", "white float", "PPM of 4095"],
)
def test_what_pillow_would_change_is_refused(tmp_path, make, suffix, message):
    with pytest.raises(DataError, match=message):
        folder(tmp_path, make, suffix).load()


def test_a_ppm_of_bytes_is_not_meant(tmp_path):
    def make(ramp):
        return b"P6\n6 8\n255\n" + np.repeat(ramp[..., None], 3, -1).astype("u1").tobytes()

    assert (folder(tmp_path, make, ".ppm").load().x_train[0][..., 1] == RAMP).all()


def test_files_of_other_formats_are_counted_and_left_out(tmp_path):
    source = folder(tmp_path, lambda ramp: tiff(ramp.astype("u1")))
    Image.fromarray(RAMP.astype(np.uint8)).save(tmp_path / "d" / "a" / "x.tga")
    Image.fromarray(RAMP.astype(np.uint8)).save(tmp_path / "d" / "b" / "y.tga")
    Image.fromarray(RAMP.astype(np.uint8)).save(tmp_path / "d" / "b" / "z.jfif", format="JPEG")
    (tmp_path / "d" / "a" / "notes").write_text("")
    (tmp_path / "d" / "a" / "Thumbs.db").write_text("")
    arrays = source.load()
    assert arrays.remark == "3 files of other formats left out: 2 .tga, 1 without a suffix"
    assert len(arrays.x_train) == 5
    assert source.load().remark == arrays.remark  # from the cache, too
