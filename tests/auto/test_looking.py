"""Layouts of data are told apart by what lies at a path."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from nasplug.auto.looking import look
from nasplug.contract.errors import DataError


def picture(path, value=0, mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (8, 8), value).save(path)


@pytest.mark.parametrize("above", [(), ("train",), ("training",)])
def test_a_folder_for_each_class(tmp_path, above):
    for name in ("cat", "dog", "eel"):
        picture(tmp_path.joinpath(*above, name, "1.png"))
    found = look(str(tmp_path))
    assert found.kind == "images"
    assert found.task == {"image_classification": {"data": {"folder": {"path": str(tmp_path)}}}}
    assert found.words == "images of 3 classes: cat, dog, eel"


def test_digits_need_no_file():
    assert look("digits").task == {"image_classification": {"data": "digits"}}


def test_images_with_masks_name_their_values(tmp_path):
    picture(tmp_path / "images" / "a.png")
    mask = np.zeros((8, 8), np.uint8)
    mask[2:4] = 255
    (tmp_path / "masks").mkdir()
    Image.fromarray(mask).save(tmp_path / "masks" / "a.png")
    found = look(str(tmp_path))
    assert found.kind == "volumes"
    assert found.task["segmentation"]["data"]["mask_folder"]["classes"] == {"background": 0, "value_255": 255}


@pytest.mark.parametrize(("about", "slug"), [({"training": []}, "decathlon"), ({"channel_names": {}}, "nnunet")])
def test_a_description_tells_whose_folder_it_is(tmp_path, about, slug):
    (tmp_path / "dataset.json").write_text(json.dumps(about))
    assert list(look(str(tmp_path)).task["segmentation"]["data"]) == [slug]


def test_a_damaged_description(tmp_path):
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(DataError, match=r"cannot read dataset\.json"):
        look(str(tmp_path))


@pytest.mark.parametrize(
    ("arrays", "task", "slug"),
    [
        ({"x_train": np.zeros((4, 8, 8)), "y_train": np.arange(4)}, "image_classification", "npz"),
        ({"x_train": np.zeros((4, 3)), "y_train": np.arange(4)}, "tabular", "table"),
        ({"train_images": np.zeros((4, 8, 8)), "train_labels": np.zeros((4, 1))}, "image_classification", "npz"),
        ({"images": np.zeros((4, 8, 8)), "labels": np.zeros((4, 8, 8))}, "segmentation", "npz_volumes"),
    ],
)
def test_archives_by_their_keys(tmp_path, arrays, task, slug):
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    ((name, arguments),) = look(str(path)).task.items()
    assert (name, list(arguments["data"])) == (task, [slug])


def table(tmp_path, last, rows=60):
    path = tmp_path / "t.csv"
    path.write_text("a,b,last\n" + "".join(f"{i},{i % 7},{last(i)}\n" for i in range(rows)))
    return path


@pytest.mark.parametrize(
    ("last", "task", "words"),
    [
        (lambda i: "yes" if i % 2 else "no", "tabular", "one of 2 classes"),
        (lambda i: i % 3, "tabular", "one of 3 classes"),
        (lambda i: i % 20, "tabular", "one of 20 classes"),
        (lambda i: i % 21, "regression", "a number"),
        (lambda i: (i % 3) / 2, "regression", "a number"),
        (lambda i: -i, "regression", "a number"),
    ],
)
def test_a_column_of_few_whole_numbers_or_texts_names_classes(tmp_path, last, task, words):
    found = look(str(table(tmp_path, last)))
    assert list(found.task) == [task]
    assert found.words == f"a table of 60 rows; column 'last' is predicted, {words}"


def test_another_column_may_be_predicted(tmp_path):
    path = table(tmp_path, lambda i: "x")
    assert look(str(path), "b").task["tabular"]["data"]["table"]["target"] == "b"
    with pytest.raises(DataError, match="'bb'"):
        look(str(path), "bb")


def test_what_cannot_be_told_is_refused_with_the_layouts(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    for path in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(DataError, match=r"cannot tell what .*\n?.*dataset\.json"):
            look(str(path))
    with pytest.raises(DataError, match="does not exist"):
        look(str(tmp_path / "gone"))
    for path in ("digits", str(_classes(tmp_path / "c"))):
        with pytest.raises(DataError, match="--target is for tables"):
            look(path, "a")


def _classes(path):
    picture(path / "a" / "1.png")
    picture(path / "b" / "1.png")
    return path


def test_one_class_is_not_a_classification(tmp_path):
    picture(tmp_path / "only" / "1.png")
    with pytest.raises(DataError, match="cannot tell"):
        look(str(tmp_path))
