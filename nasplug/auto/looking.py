"""Tells from a path what the data are, by their layout, and how a specification names them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from nasplug.contract.errors import DataError
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.contract.wording import plural
from nasplug.data.archives import arrays_in
from nasplug.data.columns import SUFFIXES as TABLES
from nasplug.data.columns import column, read_columns
from nasplug.data.images import SUFFIXES

Kind = Literal["images", "rows", "volumes"]
#: Numbers of which a column may hold so many different ones and still name classes.
CLASSES = 20
LAYOUTS = (
    "a folder with a sub-folder of images for each class, perhaps below train, val and test; a table (.csv, .tsv, "
    ".parquet); an .npz file; a folder with dataset.json (Decathlon, nnU-Net); a folder with images and masks"
)


@dataclass(frozen=True)
class Looked:
    """What lies at a path.

    Attributes:
        kind: Kind of the samples.
        task: Task with its data, as a specification says them.
        words: Description for people.
    """

    kind: Kind
    task: JsonObject
    words: str


def look(path: str, target: str | None = None) -> Looked:
    """Tells what lies at a path.

    Args:
        path: File or folder, or `digits`.
        target: Column of a table that is to be predicted; None means the last one.

    Raises:
        DataError: Nothing is there, or the layout is unknown.
    """
    found = _found(path, target)
    if found is None:
        raise DataError(f"cannot tell what {path!r} holds", where="nasplug auto", fix=f"give {LAYOUTS}")
    if target is not None and found.kind != "rows":
        raise DataError("--target is for tables", where="nasplug auto", fix="leave it out")
    return found


def _found(path: str, target: str | None) -> Looked | None:
    if path == "digits":
        return _images("digits", "scikit-learn's handwritten digits")
    place = Path(path).expanduser()
    if not place.exists():
        raise DataError(f"{path!r} does not exist", where="nasplug auto", fix=f"give {LAYOUTS}")
    return _file(place, target) if place.is_file() else _folder(place)


def _images(data: Json, words: str) -> Looked:
    return Looked("images", {"image_classification": {"data": data}}, words)


def _volumes(data: JsonObject, words: str) -> Looked:
    return Looked("volumes", {"segmentation": {"data": data}}, words)


def _file(path: Path, target: str | None) -> Looked | None:
    if path.suffix.lower() in TABLES:
        return _table(path, target)
    if path.suffix.lower() == ".npz":
        return _archive(path)
    return None


def _table(path: Path, target: str | None) -> Looked:
    columns = read_columns(path)
    name = target if target is not None else list(columns)[-1]
    values = [value for value in column(columns, name, path) if value not in (None, "")]
    numbers = _numbers(values)
    whole = numbers is not None and all(number.is_integer() for number in numbers)
    regression = numbers is not None and (not whole or len(set(numbers)) > CLASSES)
    data: JsonObject = {"table": {"path": str(path), "target": name}}
    kind = "a number" if regression else f"one of {plural(len(set(map(str, values))), 'class')}"
    words = f"a table of {plural(len(columns[name]), 'row')}; column {name!r} is predicted, {kind}"
    return Looked("rows", {"regression" if regression else "tabular": {"data": data}}, words)


def _numbers(values: Sequence[object]) -> list[float] | None:
    """The values as numbers, or None if one is not."""
    try:
        return [float(str(value)) for value in values]
    except ValueError:
        return None


def _archive(path: Path) -> Looked | None:
    with arrays_in(path) as file:
        keys = set(file.files)
        shapes = {key: file[key].shape for key in keys & {"x_train", "labels"}}
    at = str(path)
    if {"images", "labels"} <= keys and len(shapes["labels"]) > 1:
        return _volumes({"npz_volumes": {"path": at}}, "an archive of images and masks")
    if {"train_images", "train_labels"} <= keys:
        data: JsonObject = {"npz": {"path": at, "images": "{split}_images", "labels": "{split}_labels"}}
        return _images(data, "an archive of images in MedMNIST's layout")
    if "x_train" in keys and len(shapes["x_train"]) == 2:
        return Looked("rows", {"tabular": {"data": {"table": {"path": at}}}}, "an archive of rows")
    if keys & {"x_train", "payload_train"}:
        return _images({"npz": {"path": at}}, "an archive of images")
    return None


def _folder(path: Path) -> Looked | None:
    layouts: list[Callable[[Path], Looked | None]] = [_described, _masks, _classes]
    return next((found for layout in layouts if (found := layout(path)) is not None), None)


def _described(path: Path) -> Looked | None:
    about = path / "dataset.json"
    if not about.is_file():
        return None
    try:
        keys = set(json.loads(about.read_text(encoding="utf-8")))
    except ValueError as error:
        raise DataError("cannot read dataset.json", where=str(about), why=str(error)) from error
    if "training" in keys:
        return _volumes({"decathlon": {"path": str(path)}}, "volumes in the Decathlon's layout")
    return _volumes({"nnunet": {"path": str(path)}}, "volumes in nnU-Net's layout")


def _masks(path: Path) -> Looked | None:
    homes = [home for home in (path, path / "train") if (home / "images").is_dir() and (home / "masks").is_dir()]
    if not homes:
        return None
    from PIL import Image

    values: set[int] = set()
    for file in sorted((homes[0] / "masks").iterdir())[:50]:
        if file.suffix.lower() in SUFFIXES:
            with Image.open(file) as image:
                values |= set(np.unique(np.asarray(image)).tolist())
    classes: JsonObject = {"background" if value == 0 else f"value_{value}": value for value in sorted(values | {0})}
    data: JsonObject = {"mask_folder": {"path": str(path), "classes": classes}}
    return _volumes(data, f"images with masks of {plural(len(classes), 'value')}")


def _classes(path: Path) -> Looked | None:
    home = next((path / name for name in ("train", "training") if (path / name).is_dir()), path)
    named = [
        folder.name
        for folder in sorted(home.iterdir())
        if folder.is_dir() and any(file.suffix.lower() in SUFFIXES for file in folder.iterdir())
    ]
    if len(named) < 2:
        return None
    shown = ", ".join(named[:5]) + (", ..." if len(named) > 5 else "")
    return _images({"folder": {"path": str(path)}}, f"images of {plural(len(named), 'class')}: {shown}")
