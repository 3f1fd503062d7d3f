"""Exported networks take raw pixels and answer what the search measured."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nasplug.contract.errors import DataError, NasplugError, StorageError, TrustError
from nasplug.data.images import SUFFIXES
from nasplug.export.bundle import read_bundle
from nasplug.export.exporter import Bundle, Folder, Found, Onnx, Program
from nasplug.export.predictor import Predictor, data_files, open_network

CLASSES = ("across", "down")
#: How somebody reads the files who knows nothing of nasplug.
READERS = {
    "grey": lambda image: np.asarray(image)[None],
    "16 bit": lambda image: np.asarray(image).astype(np.float32)[None],
    "colour": lambda image: np.asarray(image).transpose(2, 0, 1),
}


def validation(folder):
    files = sorted((folder / "val").rglob("*.png"))
    return files, [CLASSES.index(file.parent.name) for file in files]


@pytest.mark.parametrize("kind", READERS)
def test_onnx_reproduces_the_validation_accuracy_from_raw_files(found, pictures, tmp_path, kind):
    onnxruntime = pytest.importorskip("onnxruntime")
    study = found(kind)
    Onnx().export(Found.of(study, study.best), tmp_path)
    files, labels = validation(pictures(kind))
    session = onnxruntime.InferenceSession(str(tmp_path / "network.onnx"))
    pixels = np.stack([READERS[kind](Image.open(file)) for file in files])
    (scores,) = session.run(None, {"input": pixels})
    accuracy = float((scores.argmax(1) == labels).mean())
    assert accuracy == pytest.approx(study.best.metrics["val_acc"], abs=1e-6)
    assert 0.6 < accuracy < 1.0, "an accuracy that tells right from wrong preprocessing"
    facts = json.loads(session.get_modelmeta().custom_metadata_map["nasplug"])
    assert facts["classes"] == list(CLASSES)
    assert facts["preprocessing"]["size"] == [12, 10]
    assert facts["raw"] is True


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        *((kind, "bundle") for kind in ("grey", "16 bit", "colour", "alpha")),
        *(("16 bit", form) for form in ("folder", "onnx", "bare onnx", "program", "bare program")),
    ],
)
def test_every_format_predicts_the_same(found, pictures, tmp_path, kind, form):
    if "onnx" in form:
        pytest.importorskip("onnxruntime")
    study = found(kind)
    exporter = {
        "bundle": Bundle(),
        "folder": Folder(),
        "onnx": Onnx(),
        "bare onnx": Onnx(raw=False),
        "program": Program(),
        "bare program": Program(raw=False),
    }[form]
    written = exporter.export(
        Found.of(study, study.best), tmp_path / "out" if form in ("bundle", "folder") else tmp_path
    )
    assert all(path.is_file() for path in written.values())
    network = tmp_path / {"bundle": "out", "folder": "out"}.get(
        form, "network.onnx" if "onnx" in form else "network.pt2"
    )
    files, labels = validation(pictures(kind))
    predictions = list(open_network(network, trust=True).predict(files))
    right = [prediction.names == [CLASSES[label]] for prediction, label in zip(predictions, labels, strict=True)]
    assert np.mean(right) == pytest.approx(study.best.metrics["val_acc"], abs=1e-6)
    assert all(sum(prediction.scores.values()) == pytest.approx(1) for prediction in predictions)


def test_files_of_other_sizes_are_resized_as_in_training(found, pictures, tmp_path):
    study = found("grey", size=8)
    Bundle().export(Found.of(study, study.best), tmp_path / "out")
    files, labels = validation(pictures("grey"))
    predictions = open_network(tmp_path / "out", trust=True).predict(files)
    right = [prediction.names == [CLASSES[label]] for prediction, label in zip(predictions, labels, strict=True)]
    assert np.mean(right) == pytest.approx(study.best.metrics["val_acc"], abs=1e-6)


def test_a_bare_file_takes_what_the_network_takes(found, tmp_path):
    pytest.importorskip("onnxruntime")
    from nasplug.export.onnx import run_onnx

    study = found("grey")
    Onnx(raw=False).export(Found.of(study, study.best), tmp_path)
    images = torch.randn(2, 1, 12, 10)
    with torch.inference_mode():
        expected = study.network(study.best)(images)
    torch.testing.assert_close(run_onnx(tmp_path / "network.onnx", images)[0], expected, rtol=1e-4, atol=1e-4)


def test_a_file_tells_nothing_of_the_machine_and_stores_little_beside_its_tensors(found, tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    study = found("grey")
    Onnx(raw=False).export(Found.of(study, study.best), tmp_path)
    written = (tmp_path / "network.onnx").read_bytes()
    assert b"stack_trace" not in written
    assert b"site-packages" not in written
    assert b".py" not in written
    tensors = sum(len(tensor.raw_data) for tensor in onnx.load(str(tmp_path / "network.onnx")).graph.initializer)
    assert tensors < len(written) < tensors + 6000


def test_the_folder_is_a_model_repository(found, tmp_path):
    study = found("grey")
    written = Folder().export(Found.of(study, study.best), tmp_path)
    assert sorted(path.name for path in written.values()) == ["README.md", "config.json", "model.safetensors"]
    assert sorted(item.name for item in tmp_path.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    network = read_bundle(tmp_path, trust=True)
    images = torch.randn(3, 1, 12, 10)
    with torch.inference_mode():
        assert torch.equal(network(images), study.network(study.best)(images))


def test_files_and_folders_in_order(pictures, tmp_path):
    folder = pictures("grey") / "val"
    (tmp_path / "notes.txt").write_text("no image")
    some = folder / "down" / "003.png"
    assert data_files([some, folder / "across"], SUFFIXES)[:2] == [some, folder / "across" / "000.png"]
    assert len(data_files([folder], SUFFIXES)) == 80
    with pytest.raises(DataError, match="does not exist"):
        data_files([tmp_path / "nowhere.png"], SUFFIXES)
    with pytest.raises(DataError, match="there are no files for this network"):
        data_files([tmp_path], SUFFIXES)


def test_a_program_runs_only_for_those_who_trust_it(found, pictures, tmp_path):
    """Reading one unpickles and evaluates what is inside, whatever torch is told."""
    study = found("grey")
    Program().export(Found.of(study, study.best), tmp_path)
    with pytest.raises(TrustError, match=r"network\.pt2: a program of torch.export may run code[\s\S]*--trust"):
        open_network(tmp_path / "network.pt2")
    files, _ = validation(pictures("grey"))
    assert len(list(open_network(tmp_path / "network.pt2", trust=True).predict(files))) == len(files)


@pytest.mark.parametrize("name", ["/dev/zero", "../outside.safetensors", "pipe", ".", 3])
def test_weights_lie_beside_their_description(found, tmp_path, name):
    study = found("grey")
    Bundle().export(Found.of(study, study.best), tmp_path / "out")
    (tmp_path / "outside.safetensors").write_bytes(b"secret")
    os.mkfifo(tmp_path / "out" / "pipe")
    described = tmp_path / "out" / "architecture.json"
    data = json.loads(described.read_text())
    data["weights"]["file"] = name
    described.write_text(json.dumps(data))
    with pytest.raises(StorageError, match=r"out: there are no weights"):
        read_bundle(tmp_path / "out", trust=True)


@pytest.mark.parametrize("key", ["weights", "space", "architecture", "trial", "build", "versions"])
@pytest.mark.parametrize("value", [None, 3, [1], {"a": 1}])
def test_a_description_that_somebody_changed_is_refused_by_name(found, tmp_path, key, value):
    study = found("grey")
    Bundle().export(Found.of(study, study.best), tmp_path / "out")
    described = tmp_path / "out" / "architecture.json"
    data = json.loads(described.read_text())
    data[key] = value
    described.write_text(json.dumps(data))
    if key == "versions":  # only messages speak of them
        assert read_bundle(tmp_path / "out", trust=True) is not None
    else:
        with pytest.raises(NasplugError, match=r"tmp|out"):
            read_bundle(tmp_path / "out", trust=True)


def test_a_network_that_answers_something_else_is_refused():
    way = {"kind": "image", "size": [4, 4], "channels": 1}
    picture = Image.fromarray(np.zeros((4, 4), np.uint8))
    for answer, classes in ((np.zeros((1, 3)), ["a", "b"]), (np.zeros(3), []), (np.zeros((2, 2)), [])):
        predictor = Predictor(lambda pixels, answer=answer: answer, {"preprocessing": way, "classes": classes}, "a net")
        with tempfile.NamedTemporaryFile(suffix=".png") as file:
            picture.save(file.name)
            with pytest.raises(StorageError, match="a net: the network does not answer as"):
                list(predictor.predict([Path(file.name)]))


@pytest.mark.parametrize(
    "changed",
    [
        {"size": [0, 4]},
        {"size": [4, 1 << 17]},
        {"span": [0, float("inf")]},
        {"span": [3, 3]},
        {"mean": [0, 0]},
        {"channels": 0},
        {"fit": "x"},
    ],
)
def test_a_preprocessing_that_no_image_takes_is_refused(changed):
    way = {"kind": "image", "size": [4, 4], "channels": 1}
    with pytest.raises(DataError, match="a net: cannot read the preprocessing"):
        Predictor(
            lambda pixels: pixels,
            {"preprocessing": {**way, **changed}},
            "a net",
        )


@pytest.mark.parametrize("fit", ["crop", "stretch"])
@pytest.mark.parametrize("kind", ["grey", "16 bit", "colour"])
def test_onnx_takes_raw_files_of_any_size(found, pictures, tmp_path, kind, fit):
    """The files are of 12 x 10 pixels, the network takes others: bars are narrower or wider, and levels between."""
    onnxruntime = pytest.importorskip("onnxruntime")
    study = found(kind, size=[9, 11], fit=fit)
    Onnx().export(Found.of(study, study.best), tmp_path)
    files, labels = validation(pictures(kind))
    session = onnxruntime.InferenceSession(str(tmp_path / "network.onnx"))
    pixels = np.stack([READERS[kind](Image.open(file)) for file in files])
    (scores,) = session.run(None, {"input": pixels})
    accuracy = float((scores.argmax(1) == labels).mean())
    assert accuracy == pytest.approx(study.best.metrics["val_acc"], abs=1e-6)
    assert 0.55 < accuracy < 1.0
    images = torch.from_numpy(np.concatenate([batch[0] for batch in val_batches(study)]))
    with torch.inference_mode():
        expected = study.network(study.best)(images).numpy()
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)


def val_batches(study):
    data = study.task.datamodule()
    data.setup("fit")
    return [[tensor.numpy() for tensor in batch] for batch in data.val_dataloader()]
