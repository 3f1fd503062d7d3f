"""Image formats and depths: right, or refused with file, mode and what to do."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from nasplug.contract.errors import DataError
from nasplug.data import ImageFolder
from nasplug.data.prepared import prepare
from nasplug.data.preprocessing import Preprocessing

#: 8 x 6 pixels with 48 levels from 0 to 235, brightest at the lower right.
RAMP = (np.arange(48).reshape(8, 6) * 5).astype(np.uint8)


def folder(tmp_path, make, suffix=".png", **options):
    """A data set of two classes, four files in each, whose pixels are the ramp and its mirror image."""
    for label in "ab":
        (tmp_path / "d" / label).mkdir(parents=True)
        for number in range(4):
            ramp = RAMP if label == "a" else RAMP[::-1]
            made = make(np.ascontiguousarray(ramp))
            target = tmp_path / "d" / label / f"{number}{suffix}"
            if isinstance(made, bytes):
                target.write_bytes(made)
            else:
                image, saving = made if isinstance(made, tuple) else (made, {})
                image.save(target, **saving)
    return ImageFolder(str(tmp_path / "d"), **options)


def with_alpha(mode, colour, alpha):
    """An image of one colour whose drawing is in the alpha channel."""
    image = Image.new(mode, (6, 8), colour)
    image.putalpha(Image.fromarray(alpha))
    return image


def palette(ramp):
    image = Image.fromarray(ramp).convert("P")
    table = np.zeros((256, 3), np.uint8)
    table[:, 0], table[:, 2] = np.arange(256), 7
    image.putpalette(table.tobytes())
    image.putdata(ramp.ravel().tolist())
    return image


def turned(ramp):
    """Stored lying on its side, with a note that says so."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return Image.fromarray(np.rot90(ramp).copy()), {"exif": exif}


def colour(ramp):
    return np.stack([ramp, 255 - ramp, ramp // 2], axis=-1)


def cmyk(ramp):
    """Inks that give the colours without black."""
    inks = [Image.fromarray(255 - channel) for channel in colour(ramp).transpose(2, 0, 1)]
    return Image.merge("CMYK", [*inks, Image.new("L", (6, 8))])


GREY = {
    "grey 8 bit": (lambda ramp: Image.fromarray(ramp), ".png", RAMP),
    "bmp": (lambda ramp: Image.fromarray(ramp), ".bmp", RAMP),
    "pgm": (lambda ramp: Image.fromarray(ramp), ".pgm", RAMP),
    "1 bit": (lambda ramp: Image.fromarray(ramp > 100), ".png", (RAMP > 100) * np.uint8(255)),
    "grey palette": (lambda ramp: Image.fromarray(ramp).convert("P"), ".gif", RAMP),
    "LA, drawing in alpha": (lambda ramp: with_alpha("L", 0, ramp), ".png", 255 - RAMP),
    "EXIF orientation": (turned, ".png", RAMP),
}
COLOUR = {
    "RGB": (lambda ramp: Image.fromarray(colour(ramp)), ".png", colour(RAMP)),
    "webp": (lambda ramp: (Image.fromarray(colour(ramp)), {"lossless": True}), ".webp", colour(RAMP)),
    "palette": (palette, ".png", np.stack([RAMP, RAMP * 0, RAMP * 0 + 7], -1)),
    "RGBA, drawing in alpha": (
        lambda ramp: with_alpha("RGB", (0, 0, 0), ramp),
        ".png",
        np.repeat((255 - RAMP)[..., None], 3, -1),
    ),
    "RGB with a transparent colour": (
        lambda ramp: (Image.fromarray(colour(ramp)), {"transparency": (0, 255, 0)}),
        ".png",
        np.where((colour(RAMP) == (0, 255, 0)).all(-1, keepdims=True), 255, colour(RAMP)),
    ),
    "CMYK": (
        lambda ramp: cmyk(ramp),
        ".tif",
        colour(RAMP),
    ),
}
DEEP = {
    "16-bit PNG, 0 to 4095": (lambda ramp: Image.fromarray(ramp.astype(np.uint16) * 17), ".png", 17),
    "16-bit PNG, all bits": (lambda ramp: Image.fromarray(ramp.astype(np.uint16) * 278), ".png", 278),
    "16-bit PGM": (lambda ramp: Image.fromarray(ramp.astype(np.uint16) * 17), ".pgm", 17),
    "16-bit TIFF, 0 to 255": (lambda ramp: Image.fromarray(ramp.astype(np.uint16)), ".tif", 1),
    "32-bit TIFF, 0 to 255": (lambda ramp: Image.fromarray(ramp.astype(np.int32)), ".tif", 1),
    "32-bit TIFF, large": (lambda ramp: Image.fromarray(ramp.astype(np.int32) + 2_000_000_000), ".tif", 1),
    "float TIFF, 0 to 1": (lambda ramp: Image.fromarray((ramp / 235).astype(np.float32)), ".tif", 1 / 235),
    "float TIFF, negative": (lambda ramp: Image.fromarray(ramp.astype(np.float32) * 8 - 1000), ".tif", 8),
}


@pytest.mark.parametrize("name", GREY)
def test_grey_levels_survive(tmp_path, name):
    make, suffix, expected = GREY[name]
    arrays = folder(tmp_path, make, suffix).load()
    assert arrays.input_shape == (1, 8, 6)
    assert arrays.x_train.dtype == np.uint8
    assert (arrays.x_train[0] == expected).all()
    assert len(np.unique(arrays.x_train[4])) == len(np.unique(expected))


@pytest.mark.parametrize("name", COLOUR)
def test_colours_survive(tmp_path, name):
    make, suffix, expected = COLOUR[name]
    arrays = folder(tmp_path, make, suffix).load()
    assert arrays.input_shape == (3, 8, 6)
    assert (arrays.x_train[0] == expected).all()


@pytest.mark.parametrize("name", DEEP)
def test_numbers_are_scaled_by_the_range_of_the_data(tmp_path, name):
    make, suffix, step = DEEP[name]
    arrays = folder(tmp_path, make, suffix).load()
    assert arrays.input_shape == (1, 8, 6)
    assert arrays.x_train.dtype == np.float32
    np.testing.assert_allclose(arrays.x_train[0], RAMP / 235, atol=1e-6)
    assert len(np.unique(arrays.x_train[0])) == 48
    low, high = arrays.preprocessing.span
    assert (high - low) / 235 == pytest.approx(step)
    assert "become 0 and 1" in arrays.remark


def test_one_range_for_all_splits_and_it_is_that_of_the_training_files(tmp_path):
    for split, top in (("train", 1000), ("val", 4000), ("test", 500)):
        for label in "ab":
            target = tmp_path / "d" / split / label
            target.mkdir(parents=True)
            Image.fromarray(np.linspace(0, top, 16).astype(np.uint16).reshape(4, 4)).save(target / "0.png")
    arrays = ImageFolder(str(tmp_path / "d")).load()
    assert [float(x.max()) for x in (arrays.x_train, arrays.x_val, arrays.x_test)] == [1.0, 4.0, 0.5]
    assert arrays.preprocessing.span == (0, 1000)
    given = ImageFolder(str(tmp_path / "d"), span=(0, 4000)).load()
    assert float(given.x_val.max()) == 1.0
    assert ImageFolder(str(tmp_path / "d"), channels=3).load().input_shape == (3, 4, 4)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".gif", ".webp"])
def test_the_way_of_the_data_reads_a_file_as_the_folder_did(tmp_path, suffix):
    source = folder(tmp_path, lambda ramp: Image.fromarray(ramp), suffix, size=(5, 4))
    arrays = source.load()
    way = prepare(arrays, val_fraction=0.5, test_fraction=0).way(normalise=True)
    again = Preprocessing.of(way.to_plain())
    assert again == way
    file = tmp_path / "d" / "b" / f"0{suffix}"
    assert (
        again.read(file)[0 if way.channels == 1 else slice(None)] == np.moveaxis(arrays.x_train[4], -1, 0)
        if way.channels == 3
        else again.read(file)[0] == arrays.x_train[4]
    ).all()


def test_size_and_channels_are_those_of_the_files(tmp_path):
    arrays = folder(tmp_path, lambda ramp: Image.fromarray(ramp)).load()
    assert arrays.remark == ""
    assert str(arrays.preprocessing or "") == "grey, 8 x 6 pixels"


def test_files_of_many_sizes(tmp_path):
    sizes = iter([(4, 4), (10, 8), (6, 8), (6, 6)] * 2)
    source = folder(tmp_path, lambda ramp: Image.fromarray(np.zeros(next(sizes), np.uint8)))
    arrays = source.load()
    assert arrays.input_shape == (1, 6, 6)
    assert "4 sizes, 4 to 10 pixels high" in arrays.remark
    assert "resized to the median" in arrays.remark


def test_one_file_in_colour_makes_colour(tmp_path):
    folder(tmp_path, lambda ramp: Image.fromarray(ramp))
    Image.fromarray(colour(RAMP)).save(tmp_path / "d" / "a" / "x.png")
    assert ImageFolder(str(tmp_path / "d")).load().input_shape == (3, 8, 6)
    assert ImageFolder(str(tmp_path / "d"), channels=1).load().input_shape == (1, 8, 6)


def png16(ramp):
    """A PNG of 16 bits per colour, which Pillow can read but not write."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (colour(ramp).astype(">u2") * 16).reshape(8, -1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", 6, 8, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def pages(kind):
    def make(ramp):
        file = io.BytesIO()
        image = Image.fromarray(ramp)
        image.save(file, kind, save_all=True, append_images=[Image.fromarray(255 - ramp)])
        return file.getvalue()

    return make


def not_finite(ramp):
    values = ramp.astype(np.float32)
    values[0, 0] = np.nan
    return Image.fromarray(values)


@pytest.mark.parametrize(
    ("make", "suffix", "message"),
    [
        (png16, ".png", r"\.png: the file holds RGB with 16 bits per channel"),
        (pages("TIFF"), ".tif", r"\.tif: the file holds 2 pictures"),
        (pages("GIF"), ".gif", r"\.gif: the file holds 2 pictures"),
        (not_finite, ".tif", r"\.tif: the image of mode 'F' holds NaN"),
        (lambda ramp: Image.fromarray(colour(ramp)).convert("LAB"), ".tif", r"\.tif: pixels of mode 'LAB'"),
        (lambda ramp: with_alpha("L", 255, ramp), ".png", r"blank, such as[\s\S]*grey level 255[\s\S]*background: 0"),
    ],
)
def test_what_would_be_read_wrongly_is_refused_with_file_and_mode(tmp_path, make, suffix, message):
    with pytest.raises(DataError, match=message):
        folder(tmp_path, make, suffix).load()


def test_another_background_shows_a_white_drawing(tmp_path):
    arrays = folder(tmp_path, lambda ramp: with_alpha("L", 255, ramp), background=0).load()
    assert (arrays.x_train[0] == RAMP).all()


def test_levels_and_numbers_together_are_refused(tmp_path):
    folder(tmp_path, lambda ramp: Image.fromarray(ramp))
    Image.fromarray(RAMP.astype(np.uint16)).save(tmp_path / "d" / "b" / "x.png")
    with pytest.raises(DataError, match=r"x\.png' has mode 'I;16'[\s\S]*0\.png' has mode 'L'"):
        ImageFolder(str(tmp_path / "d")).load()


def test_other_files_than_those_of_the_training_are_refused(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "levels.png")
    Image.fromarray(RAMP.astype(np.uint16)).save(tmp_path / "numbers.png")
    levels, numbers = Preprocessing((8, 6), 1), Preprocessing((8, 6), 1, "float32", (0.0, 4095.0))
    with pytest.raises(DataError, match="numbers of any range"):
        levels.read(tmp_path / "numbers.png")
    with pytest.raises(DataError, match="trained on numbers from 0 to 4095"):
        numbers.read(tmp_path / "levels.png")
    assert (numbers.read(tmp_path / "numbers.png")[0] == RAMP).all()
    unit = Preprocessing((8, 6), 1, "float32", (0.0, 1.0))  # arrays of 0..1, such as scikit-learn's digits
    np.testing.assert_allclose(unit.read(tmp_path / "levels.png")[0], RAMP / 255, rtol=1e-6)
