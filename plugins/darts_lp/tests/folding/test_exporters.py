"""Tests of `nasplug_darts_lp.folding.exporters`: files of integers leave a study and answer raw images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nasplug_darts_lp.folding import Deviation
from nasplug_darts_lp.folding.exporters import Integer, Qdq
from PIL import Image
from torch import nn

import nasplug as nas
from nasplug.contract.errors import NasplugError, SpecError
from nasplug.export.exporter import Found
from nasplug.export.predictor import open_network


class Small(nas.ChoiceSpace):
    def __init__(self):
        super().__init__("small", [nas.Choice("width", (8,))])

    def build(self, architecture, task):
        (width,) = architecture.genotype
        return nn.Sequential(
            *(nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()),
            *(nn.Conv2d(width, 2 * width, 3, 2, 1, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU()),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * width, 10)),
        )


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    study = nas.search(
        nas.ImageClassification(limit=400, batch_size=32, training=nas.Training(lr=0.01)),
        space=Small(),
        strategy="random",
        build=[nas.component("darts_lp.quantise", weight_bits=8, activation_bits=8)],
        trials=1,
        epochs=4,
        storage=str(folder / "study.sqlite"),
    )
    return Found.of(study, study.best)


@pytest.mark.slow
def test_both_files_answer_raw_images_as_the_network_does(found, tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    import onnx

    from nasplug.export.exporter import Bundle

    rng = np.random.default_rng(0)
    files = []
    for number in range(12):
        files.append(tmp_path / f"{number:02}.png")
        Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(files[-1])
    answers = {}
    for name, exporter in {"bundle": Bundle(), "integer": Integer(), "qdq": Qdq()}.items():
        (tmp_path / name).mkdir()
        written = exporter.export(found, tmp_path / name)
        path = tmp_path / name if name == "bundle" else next(iter(written.values()))
        answers[name] = np.array([list(said.scores.values()) for said in open_network(path, trust=True).predict(files)])
    np.testing.assert_allclose(answers["integer"], answers["bundle"], atol=1e-6)
    np.testing.assert_allclose(answers["qdq"], answers["bundle"], atol=0.1)
    operators = [node.op_type for node in onnx.load(tmp_path / "qdq" / "network-qdq.onnx").graph.node]
    assert operators.count("Conv") >= 1
    assert operators.count("DequantizeLinear") >= 3
    assert "ConvInteger" in [
        node.op_type for node in onnx.load(tmp_path / "integer" / "network-integer.onnx").graph.node
    ]
    bare = Integer(name="bare.onnx", raw=False).export(found, tmp_path)
    assert set(bare) == {"bare"}


def test_a_file_that_answers_something_else_is_refused(tmp_path):
    with pytest.raises(NasplugError, match=r"differs from the quantised network by 0\.3[\s\S]*3 decisions of 16"):
        Qdq().check(Deviation(16, 0.3, 0.1, 3), tmp_path / "x.onnx")
    with pytest.raises(NasplugError, match="differs"):
        Integer().check(Deviation(16, float("nan"), 0.1, 0), tmp_path / "x.onnx")
    Qdq().check(Deviation(16, 0.1, 0.1, 3), tmp_path / "x.onnx")


def test_networks_that_are_not_quantised_are_refused(tmp_path):
    study = nas.search(
        nas.ImageClassification(limit=100, batch_size=32), space=Small(), strategy="random", trials=1, epochs=1
    )
    with pytest.raises(SpecError, match="quantised"):
        Qdq().export(Found.of(study, study.best), tmp_path)
    assert not list(tmp_path.iterdir())


def test_deviation_counts_decisions():
    from nasplug_darts_lp.folding import deviation

    expected = torch.tensor([[1.0, 2.0], [4.0, 0.0]])
    answer = torch.tensor([[2.0, 1.0], [4.0, 0.0]])
    assert deviation(answer, expected) == Deviation(2, 0.25, 2 / 7, 1)
