"""Regression, labels and tables, from the file to the trained network."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import nasplug as nas
from nasplug.contract.errors import DataError, TaskError
from nasplug.contract.io import check_flow
from nasplug.data import Table
from nasplug.optional import available
from nasplug.tasks import Multilabel, Regression, Tabular, Training
from nasplug.tasks.remarks import one_class_alone

CLASSES = ("low", "middle", "high")


def rows(count=240):
    rng = np.random.default_rng(0)
    size, colour = rng.normal(50, 20, count), rng.choice(["red", "green", "blue"], count)
    score = size / 20 + 2.0 * (colour == "red") + rng.normal(0, 0.2, count)
    kind = np.array(CLASSES)[np.digitize(score, [2.0, 4.0])]
    return {
        "number": np.arange(count),
        "size": size,
        "colour": colour,
        "score": 1000 + 50 * score,
        "kind": kind,
        "is_red": (colour == "red").astype(int),
        "is_large": (size > 60).astype(int),
    }


@pytest.fixture
def csv(tmp_path):
    columns = rows()
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    (tmp_path / "things.csv").write_text("\n".join(lines))
    return str(tmp_path / "things.csv")


def search(task, **options):
    space = nas.component("tabular_mlp", layers=2, widths=[16, 32])
    return nas.search(task, space=space, strategy="random", trials=2, epochs=30, **options)


FAST = Training(lr=0.02)


def test_a_table_is_classified(csv):
    data = Table(csv, target="kind", ignore=["number", "score", "is_red", "is_large"])
    task = Tabular(data, training=FAST)
    assert (task.input_shape, task.outputs) == ((4,), 3)
    assert task.class_names == ("high", "low", "middle")
    assert task.preprocessing["columns"] == {"size": None, "colour": ["blue", "green", "red"]}
    study = search(task)
    assert set(study.best.metrics) == {*task.objectives, "train_loss"}
    assert study.best.metrics["val_acc"] > 0.8
    assert study.objectives[0].name == "val_acc"


def test_numbers_are_predicted_in_their_units(csv):
    data = Table(csv, target="score", ignore=["number", "kind", "is_red", "is_large"])
    study = search(Regression(data, training=FAST))
    best = study.best.metrics
    assert best["val_r2"] > 0.8
    assert 5 < best["val_rmse"] < 40  # of targets from about 1000 to 1300
    assert best["val_mae"] <= best["val_rmse"]
    assert study.objectives[0].direction == "min"


def test_labels_are_found(csv):
    data = Table(csv, target=["is_red", "is_large"], ignore=["number", "score", "kind"])
    task = Multilabel(data, training=Training(lr=0.02, class_weights="balanced"))
    assert task.class_names == ("is_red", "is_large")
    study = search(task)
    assert study.best.metrics["val_f1"] > 0.8
    assert set(study.best.metrics) == {*task.objectives, "train_loss"}


@pytest.mark.parametrize("targets", ["classes", "values", "labels"])
def test_arrays_of_images_and_rows(tmp_path, targets):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 255, (80, 6, 5, 3), dtype=np.uint8)
    y = {
        "classes": np.arange(80) % 2,
        "values": x.mean((1, 2, 3)) * 3,
        "labels": (x.reshape(80, -1)[:, :3] > 128).astype(int),
    }[targets]
    np.savez(tmp_path / "it.npz", x_train=x[:60], y_train=y[:60], x_val=x[60:], y_val=y[60:])
    task = Tabular(Table(str(tmp_path / "it.npz")), targets)
    assert task.input_shape == (3, 6, 5)
    assert task.outputs == {"classes": 2, "values": 1, "labels": 3}[targets]
    data = task.datamodule()
    images, answers = next(iter(data.val_dataloader()))
    assert images.shape == (20, 3, 6, 5)
    assert answers.dtype == (torch.int64 if targets == "classes" else torch.float32)
    train = torch.cat([batch[0] for batch in data.train_dataloader()])
    assert train.mean((0, 2, 3)).abs().max() < 1e-4
    assert f"1 {targets}" in task.describe_data() or f"{task.outputs} {targets}" in task.describe_data()


@pytest.mark.skipif(not available("pyarrow"), reason="needs the extra table")
def test_parquet_gives_what_csv_gives(tmp_path, csv):
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table(rows()), tmp_path / "things.parquet")
    options = {"target": "kind", "ignore": ["number", "score"]}
    first, second = (Table(str(path), **options).load("classes") for path in (csv, tmp_path / "things.parquet"))
    assert first.names == second.names
    assert (first.y == second.y).all()
    np.testing.assert_allclose(first.x, second.x, rtol=1e-6)


def test_a_column_may_divide(tmp_path):
    lines = ["a,part,y", *(f"{i},{['train', 'val', 'test'][i % 3]},{i % 2}" for i in range(30))]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    read = Tabular(Table(str(tmp_path / "t.csv"), split="part"))._read()
    assert [len(read.train), len(read.val), len(read.test)] == [10, 10, 10]
    assert (read.samples.x[read.val, 0] % 3 == 1).all()


def test_test_rows_are_the_same_for_every_seed(csv):
    data = Table(csv, target="kind", ignore=["number"])
    first, second = (Tabular(data, split=nas.data.settings.Split(seed=seed))._read() for seed in (0, 1))
    assert (first.test == second.test).all()
    assert (first.val != second.val).any()
    assert not set(first.test) & (set(first.train) | set(first.val))


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a,b\n1,x\n", {"target": "c"}, r"no column 'c'[\s\S]*known: a, b"),
        ("a,b\n1,x\n2\n", {}, "line 3 has 1 field, the header 2"),
        ("a,b\n", {}, "no rows"),
        ("a,a\n1,2\n", {}, "two columns are called 'a'"),
        ("a,b\n,x\n2,y\n", {}, "column 'a' has no value in row 1"),
        ("a,b\n1,x\n2,x\n", {}, "only one class"),
        ("a,b\n1e300,x\n2,y\n", {}, "beyond float32"),
        ("b\nx\ny\n", {}, "no columns beside the targets"),
        ("a,p,b\n1,train,x\n2,valid,y\n", {"split": "p"}, "holds 'valid'"),
        ("a,b\n" + "\n".join(f"t{i},{i % 2}" for i in range(90)), {}, r"90 different texts[\s\S]*ignore"),
        ("a,b\n" + "\n".join(f"{i},{i / 7}" for i in range(90)), {}, r"90 different numbers[\s\S]*values"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path, text, options, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        Table(str(tmp_path / "t.csv"), **options).load("classes")


def test_bad_settings_are_refused(csv):
    with pytest.raises(DataError, match="did you mean 'values'"):
        Tabular(Table(csv), "value")
    with pytest.raises(TaskError, match="no loss 'mes'"):
        Regression(Table(csv), loss="mes")
    with pytest.raises(TaskError, match="no class_weights 'balance'"):
        Training(class_weights="balance")
    with pytest.raises(DataError, match=r"'\.xls' is not known|does not exist"):
        Table(csv.replace(".csv", ".xls")).check()
    task = Tabular(Table(csv, target="kind"))
    assert task.input_shape
    assert len(pickle.dumps(task)) < 2000


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ({"val_acc": 0.6, "val_balanced_acc": 1 / 3}, "'b', the most frequent class"),
        ({"val_acc": 0.3, "val_balanced_acc": 1 / 3}, "'a', one class"),
        ({"val_acc": 0.61, "val_balanced_acc": 1 / 3}, None),
        ({"val_acc": 0.6, "val_balanced_acc": 0.34}, None),
        ({"val_acc": 0.6}, None),
    ],
)
def test_a_network_that_answers_one_class_is_noticed(metrics, said):
    found = one_class_alone(metrics, np.array([30, 60, 10]), ("a", "b", "c"))
    assert found is None if said is None else said in found


def test_a_search_says_so(stripes):
    class Listener(nas.Tracker):
        def __init__(self):
            self.said = []

        def noted(self, hint):
            self.said.append(hint)

    class Constant(nas.ChoiceSpace):
        def __init__(self):
            super().__init__("constant", [nas.Choice("x", (1, 2))])

        def build(self, architecture, task):
            network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, task.outputs))
            torch.nn.init.zeros_(network[1].weight)
            network[1].weight.requires_grad_(False)
            return network

    listener = Listener()
    nas.search(
        nas.ImageClassification(stripes), space=Constant(), strategy="random", trials=1, epochs=1, trackers=[listener]
    )
    assert any("stripes: 97 training + 11 validation + 12 test images, grey, 8 x 8 pixels" in s for s in listener.said)
    assert any("trial 0: the network answers" in line for line in listener.said)


@pytest.mark.parametrize("task", [Tabular, Regression, Multilabel])
def test_a_run_is_composed_before_its_data_are_read(task, tmp_path):
    """The file may be on the way still, or large: sizes are asked for when the first network is built."""
    data = Table(str(tmp_path / "absent.csv"), target=["a"] if task is Multilabel else "a")
    made = task(data)
    asked = []
    space = SimpleNamespace(produces=("vector",), check_inputs=asked.append)
    check_flow(space, made, "some", "mine")
    assert not asked
    with pytest.raises(DataError):
        _ = made.input_shape
