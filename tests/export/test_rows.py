"""Networks for tables and arrays answer raw files as they were scored: classes, values and labels, in every format."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from torch import nn

import nasplug as nas
from nasplug.cli import main
from nasplug.contract.errors import DataError
from nasplug.data.rows import Rows
from nasplug.data.table import Table
from nasplug.export.exporter import Bundle, Found, Onnx, Program
from nasplug.export.predictor import open_network
from nasplug.tasks import Multilabel, Regression, Tabular

FORMATS = {
    "bundle": (Bundle(), "."),
    "onnx": (Onnx(), "network.onnx"),
    "bare onnx": (Onnx(raw=False), "network.onnx"),
    "program": (Program(), "network.pt2"),
}


class Mlp(nas.ChoiceSpace):
    """A hidden layer, on rows or on images."""

    def __init__(self):
        super().__init__("mlp", [nas.Choice("width", (16,))])

    def build(self, architecture, task):
        (width,) = architecture.genotype
        inputs = int(np.prod(task.input_shape))
        return nn.Sequential(nn.Flatten(), nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, task.outputs))


def rows(count=200):
    """Houses: two numbers, a category, a price that follows from them, and two labels."""
    rng = np.random.default_rng(0)
    for number in range(count):
        area, age, kind = rng.uniform(20, 200), rng.uniform(0, 90), str(rng.choice(["flat", "house", "hut"]))
        price = 3000 * area - 500 * age + 90_000 * (kind == "house") + rng.normal(0, 20_000)
        yield {
            "number": number,
            "area": round(area, 2),
            "kind": kind,
            "age": round(age, 1),
            "price": round(price, 2),
            "dear": int(price > 300_000),
            "old": int(age + rng.normal(0, 10) > 45),
            "split": "val" if number % 4 == 0 else "train",
        }


def write(path, columns=None):
    found = list(rows())
    names = columns or list(found[0])
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, names, extrasaction="ignore")
        table.writeheader()
        table.writerows(found)
    return path


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Makes a study for each kind of targets, once."""
    path, made = write(tmp_path_factory.mktemp("table") / "houses.csv"), {}
    targets = {"classes": ["kind"], "values": ["price"], "labels": ["dear", "old"]}

    def make(kind):
        if kind not in made:
            ignore = ["number", *(name for name in ("price", "dear", "old") if name not in targets[kind])]
            wanted = targets[kind][0] if len(targets[kind]) == 1 else targets[kind]
            data = Table(str(path), wanted, ignore, "split")
            kinds = {"classes": Tabular, "values": Regression, "labels": Multilabel}
            task = kinds[kind](data, batch_size=16, training=nas.Training(lr=0.02))
            made[kind] = nas.search(task, space=Mlp(), strategy="random", trials=1, epochs=6)
        return made[kind]

    return make


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", ["classes", "values", "labels"])
def test_the_validation_metric_comes_from_the_raw_table(studies, tmp_path, kind, form):
    if "onnx" in form:
        pytest.importorskip("onnxruntime")
    study = studies(kind)
    exporter, name = FORMATS[form]
    exporter.export(Found.of(study, study.best), tmp_path / "out")
    # Columns in another order, and beside the targets.
    table = write(tmp_path / "new.csv", ["age", "price", "kind", "old", "dear", "area", "number"])
    found = list(rows())
    predictions = list(open_network(tmp_path / "out" / name, trust=True).predict([table]))
    assert [prediction.row for prediction in predictions] == list(range(1, 201))
    pairs = [(p, r) for p, r in zip(predictions, found, strict=True) if r["split"] == "val"]
    metrics = study.best.metrics
    if kind == "classes":
        right = np.mean([prediction.names == [row["kind"]] for prediction, row in pairs])
        assert right == pytest.approx(metrics["val_acc"], abs=1e-6)
    elif kind == "values":
        errors = [prediction.scores["price"] - row["price"] for prediction, row in pairs]
        assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(metrics["val_rmse"], rel=1e-4)
        assert 20_000 < metrics["val_rmse"] < 200_000, "in units of the data"
    else:
        said = np.array([["dear" in p.names, "old" in p.names] for p, _ in pairs])
        true = np.array([[row["dear"], row["old"]] for _, row in pairs]).astype(bool)
        hits = (said & true).sum(0)
        f1 = (2 * hits / (said.sum(0) + true.sum(0)).clip(1)).mean()
        assert f1 == pytest.approx(metrics["val_f1"], abs=1e-5)


def test_what_the_table_must_hold_is_said(studies, tmp_path):
    study = studies("values")
    Bundle().export(Found.of(study, study.best), tmp_path / "out")
    network = open_network(tmp_path / "out", trust=True)
    for text, message in (
        ("age,kind\n3,flat\n", "there is no column 'area'"),
        ("age,kind,area\n3,flat,50\n4,castle,90\n", "column 'kind' holds 'castle' in row 2"),
        ("age,kind,area\nnew,flat,50\n", "column 'age' holds texts"),
        ("age,kind,area\n,flat,50\n", "column 'age' has no value in row 1"),
    ):
        (tmp_path / "new.csv").write_text(text)
        with pytest.raises(DataError, match=message):
            list(network.predict([tmp_path / "new.csv"]))
    (tmp_path / "new.png").write_bytes(b"")
    with pytest.raises(DataError, match="the network takes tables"):
        list(network.predict([tmp_path / "new.png"]))


def test_a_table_on_the_command_line(studies, tmp_path, capsys):
    study = studies("values")
    Bundle().export(Found.of(study, study.best), tmp_path / "out")
    (tmp_path / "new.csv").write_text("age,kind,area\n3,flat,50\n4,house,90\n")
    command = ["predict", "--trust", str(tmp_path / "out"), str(tmp_path / "new.csv")]
    assert main(command) == 0
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        [f"{tmp_path / 'new.csv'}:1", "price"],
        [f"{tmp_path / 'new.csv'}:2", "price"],
    ]
    assert main([*command, "--json"]) == 0
    _, second = json.loads(capsys.readouterr().out)
    assert second["row"] == 2
    assert set(second["values"]) == {"price"}


def test_arrays_of_images_are_taken_as_they_are_saved(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 4, 5, 3)).astype(np.uint8)
    angles = images.mean((1, 2)).astype(np.float32)[:, :1]
    np.savez(tmp_path / "a.npz", x_train=images[:40], y_train=angles[:40], x_val=images[40:], y_val=angles[40:])
    task = Regression(Table(str(tmp_path / "a.npz")), batch_size=8, training=nas.Training(lr=0.02))
    study = nas.search(task, space=Mlp(), strategy="random", trials=1, epochs=2)
    pytest.importorskip("onnxruntime")
    Onnx().export(Found.of(study, study.best), tmp_path)
    np.savez(tmp_path / "new.npz", x=images[40:])
    np.save(tmp_path / "new.npy", images[40:])
    for name in ("new.npz", "new.npy"):
        predictions = list(open_network(tmp_path / "network.onnx").predict([tmp_path / name]))
        errors = np.array([next(iter(p.scores.values())) for p in predictions]) - angles[40:, 0]
        assert np.sqrt(np.mean(errors**2)) == pytest.approx(study.best.metrics["val_rmse"], rel=1e-4)
    np.savez(tmp_path / "new.npz", a=images, b=images)
    with pytest.raises(DataError, match="not clear which array"):
        list(open_network(tmp_path / "network.onnx").predict([tmp_path / "new.npz"]))


def test_levels_and_numbers_do_not_mix(tmp_path):
    images = np.zeros((4, 2, 2), np.uint8)
    np.savez(tmp_path / "a.npz", x_train=images, y_train=[0, 1, 0, 1], x_val=images / 255, y_val=[0, 1, 0, 1])
    with pytest.raises(DataError, match="some inputs are 8-bit levels, and others numbers"):
        Table(str(tmp_path / "a.npz")).load("classes")


def test_a_record_that_cannot_be_read_is_told():
    with pytest.raises(DataError, match="cannot read the preprocessing"):
        Rows.of({"kind": "table", "mean": [0.0], "std": [1.0]})
    assert torch.tensor(Rows(None, 255.0, (0.5,), (0.25,)).affine()[0]).item() == pytest.approx(4 / 255)
