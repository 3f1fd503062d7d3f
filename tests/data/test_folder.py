from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from nasplug.contract.errors import DataError
from nasplug.data import ImageFolder


def write(folder, value, count=2, size=(6, 6), suffix=".png"):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.fromarray(np.full((*size, 3), value + number, np.uint8)).save(folder / f"{number}{suffix}")


def test_reads_classes_in_alphabetical_order(tmp_path):
    write(tmp_path / "d" / "dog", 100)
    write(tmp_path / "d" / "cat" / "deeper", 10, count=3)
    (tmp_path / "d" / "cat" / "notes.txt").write_text("no image")
    (tmp_path / "d" / ".hidden").mkdir()
    source = ImageFolder(str(tmp_path / "d"), size=6)
    source.check()
    arrays = source.load()
    assert source.name == "d"
    assert arrays.classes == ("cat", "dog")
    assert arrays.y_train.tolist() == [0, 0, 0, 1, 1]
    assert arrays.x_train[:, 0, 0, 0].tolist() == [10, 11, 12, 100, 101]
    assert arrays.x_test is None


def test_reads_splits_and_resizes(tmp_path):
    for split, value in (("train", 10), ("valid", 50), ("test", 90)):
        write(tmp_path / "d" / split / "a", value, size=(20, 10))
        write(tmp_path / "d" / split / "b", value + 20, suffix=".bmp")
    arrays = ImageFolder(str(tmp_path / "d"), size=(4, 3), channels=1).load()
    assert arrays.input_shape == (1, 4, 3)
    assert arrays.x_val[:, 2, 1].tolist() == [50, 51, 70, 71]
    assert arrays.y_test.tolist() == [0, 0, 1, 1]


def test_crop_keeps_the_middle_and_stretch_everything(tmp_path):
    picture = np.zeros((4, 8, 3), np.uint8)
    picture[:, 2:6] = 200
    for name in ("a", "b"):
        (tmp_path / "d" / name).mkdir(parents=True)
        Image.fromarray(picture).save(tmp_path / "d" / name / "0.png")
    crop = ImageFolder(str(tmp_path / "d"), size=4, channels=1).load()
    stretch = ImageFolder(str(tmp_path / "d"), size=4, channels=1, fit="stretch").load()
    assert (crop.x_train == 200).all()
    assert stretch.x_train[0, 0, 0] < 50


def test_the_cache_notices_a_new_image(tmp_path):
    write(tmp_path / "d" / "a", 1)
    write(tmp_path / "d" / "b", 2)
    source = ImageFolder(str(tmp_path / "d"), size=6)
    assert len(source.load().y_train) == 4
    assert isinstance(source.load().x_train.base, np.memmap)
    write(tmp_path / "d" / "b", 2, count=3)
    assert len(source.load().y_train) == 5
    (tmp_path / "d" / "b" / "0.png").rename(tmp_path / "d" / "a" / "moved.png")
    assert source.load().y_train.tolist() == [0, 0, 0, 1, 1]


def test_refuses_a_file_that_is_no_image(tmp_path):
    write(tmp_path / "d" / "a", 1)
    write(tmp_path / "d" / "b", 2, suffix=".jpg", size=(64, 64))
    path = tmp_path / "d" / "b" / "1.jpg"
    for content in (path.read_bytes()[:-200], b"text", b""):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"1\.jpg.*cannot decode"):
            ImageFolder(str(tmp_path / "d"), size=6).load()


def test_refuses_a_strange_layout(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        ImageFolder(str(tmp_path / "d")).check()
    write(tmp_path / "one" / "a", 1)
    with pytest.raises(DataError, match="at least 2 class folders, found 1"):
        ImageFolder(str(tmp_path / "one")).check()
    write(tmp_path / "val_only" / "val" / "a", 1)
    with pytest.raises(DataError, match="no folder 'train'"):
        ImageFolder(str(tmp_path / "val_only")).check()
    for name in ("train/a", "train/b", "test/a", "test/c"):
        write(tmp_path / "extra" / name, 1)
    with pytest.raises(DataError, match="'c' has no training images"):
        ImageFolder(str(tmp_path / "extra")).load()
    write(tmp_path / "empty" / "a", 1)
    (tmp_path / "empty" / "b").mkdir()
    with pytest.raises(DataError, match="'b' holds no images"):
        ImageFolder(str(tmp_path / "empty")).load()
    sizes = [{"size": size} for size in (0, "big", [4], (4, 2.5))]
    for wrong in (*sizes, {"channels": 2}, {"fit": "squeeze"}, {"background": 256}, {"span": (1, 1)}):
        with pytest.raises(DataError, match=next(iter(wrong))):
            ImageFolder(str(tmp_path / "one"), **wrong).check()


@pytest.mark.parametrize("names", [("Train", "Val", "TEST"), ("training", "dev", "Testing")])
def test_splits_are_named_in_any_case(tmp_path, names):
    for split, value in zip(names, (10, 50, 90), strict=True):
        write(tmp_path / "d" / split / "a", value)
        write(tmp_path / "d" / split / "b", value + 20)
    arrays = ImageFolder(str(tmp_path / "d")).load()
    assert arrays.classes == ("a", "b")
    assert [part[0, 0, 0, 0] for part in (arrays.x_train, arrays.x_val, arrays.x_test)] == [10, 50, 90]


def test_folders_that_may_mean_something_else_are_said(tmp_path):
    for part in ("train", "val", "holdout"):
        write(tmp_path / "beside" / part / "a", 1)
        write(tmp_path / "beside" / part / "b", 2)
    assert "beside the splits are left out: holdout" in ImageFolder(str(tmp_path / "beside")).load().remark
    for part in ("fold0", "fold1", "__MACOSX"):
        write(tmp_path / "folds" / part / "a", 1)
        write(tmp_path / "folds" / part / "b", 2)
    arrays = ImageFolder(str(tmp_path / "folds")).load()
    assert arrays.classes == ("fold0", "fold1")
    assert "each of the classes fold0, fold1 has the folders a, b, taken together" in arrays.remark
    write(tmp_path / "folds" / "fold1" / "c", 2)
    assert ImageFolder(str(tmp_path / "folds")).load().remark == ""


def test_split_folders_that_are_not_clear_are_refused(tmp_path):
    for part in ("train", "val", "valid"):
        write(tmp_path / "two" / part / "a", 1)
    with pytest.raises(DataError, match="'val' and 'valid' both name the val split"):
        ImageFolder(str(tmp_path / "two")).check()
    for part in ("trian", "val"):
        write(tmp_path / "typo" / part / "a", 1)
    with pytest.raises(DataError, match=r"no folder 'train'[\s\S]*did you mean 'trian'"):
        ImageFolder(str(tmp_path / "typo")).check()
