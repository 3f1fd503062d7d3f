from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from nasplug.contract.errors import DataError
from nasplug.data.volumes import MaskFolder, Preparation, Prepared, fingerprint

CLASSES = {"background": 0, "spot": 255}


def write(folder, names, *, colour=True, ending=".png"):
    for number, name in enumerate(names):
        rng = np.random.default_rng(number)
        pixels = rng.integers(0, 100, (12, 16, 3) if colour else (12, 16)).astype(np.uint8)
        mask = np.zeros((12, 16), np.uint8)
        mask[3:6, 4:9] = 255
        for kind, array in (("images", pixels), ("masks", mask)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(folder / kind / f"{name}{ending}")
    return folder


def test_coloured_images(tmp_path):
    source = MaskFolder(str(write(tmp_path, ["a", "b"])), CLASSES)
    cases = source.load()
    assert cases.channels == ("red", "green", "blue")
    volume = source.read(cases.cases[0], cases)
    assert volume.image.shape == (3, 12, 16, 1)
    assert volume.label.sum() == 15
    prepared = Prepared.of(source, Preparation())
    assert prepared.scales[0].kind == "minmax"
    assert 0 <= prepared.image(0).min() < prepared.image(0).max() <= 1


def test_grey_images_and_parts(tmp_path):
    for part in ("train", "test"):
        write(tmp_path / part, ["a", "b"], colour=False)
    source = MaskFolder(str(tmp_path), CLASSES)
    cases = source.load()
    assert cases.channels == ("grey",)
    assert [(case.name, case.split) for case in cases.cases] == [
        ("test/a", "test"),
        ("test/b", "test"),
        ("train/a", "train"),
        ("train/b", "train"),
    ]
    coloured = MaskFolder(str(tmp_path), CLASSES, grey=False)
    assert coloured.read(cases.cases[0], coloured.load()).image.shape[0] == 3


def test_suffixes_palettes_and_patients(tmp_path):
    write(tmp_path, ["p1_a", "p1_b"])
    for path in list((tmp_path / "masks").iterdir()):
        mask = Image.fromarray((np.asarray(Image.open(path)) // 255).astype(np.uint8), "P")
        mask.putpalette([0, 0, 0, 255, 0, 0])
        mask.save(path.with_name(f"{path.stem}_mask.png"))
        path.unlink()
    source = MaskFolder(str(tmp_path), {"background": 0, "spot": 1}, suffix="_mask", patient=r"(p\d)_")
    facts = fingerprint(source)
    assert {case.patient for case in facts.cases} == {"p1"}
    assert [case.voxels for case in facts.cases] == [(177, 15), (177, 15)]


def test_what_does_not_fit(tmp_path):
    write(tmp_path, ["a", "b"])
    source = MaskFolder(str(tmp_path), CLASSES)
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(tmp_path / "masks" / "a.png")
    with pytest.raises(DataError, match=r"different shapes: \(12, 16\) and \(5, 5\)"):
        fingerprint(source)
    Image.fromarray(np.random.default_rng(0).integers(0, 9, (12, 16, 3)).astype(np.uint8)).save(
        tmp_path / "masks" / "a.png"
    )
    with pytest.raises(DataError, match="the mask is coloured"):
        fingerprint(source)
    (tmp_path / "masks" / "a.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match="cannot read the image file"):
        fingerprint(source)
    (tmp_path / "masks" / "a.png").unlink()
    with pytest.raises(DataError, match=r"'a.png' has no label"):
        source.load()
    with pytest.raises(DataError, match="classes needs a background"):
        MaskFolder(str(tmp_path), {"all": 0})
