"""A callback that edits with surgery in a trial: costs, weights, bundles, ONNX and continued trainings follow."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import nasplug as nas
from nasplug.export.bundle import read_bundle, write_bundle
from nasplug.run.api import run_spec
from nasplug.run.spec import RunSpec

PLUGIN = Path(__file__).parents[1] / "support" / "surgery_plugin.py"


@pytest.fixture
def study(tmp_path: Path) -> nas.Study:
    spec = RunSpec.parse(
        {
            "task": {"image_classification": {"data": "digits", "limit": 200, "batch_size": 50}},
            "space": "convolution",
            "strategy": "continued",
            "callbacks": ["surgeon"],
            "objectives": {"val_acc": "max", "params": "min"},
            "budget": {"trials": 2, "epochs": 2},
            "plugins": [str(PLUGIN)],
            "run": {"storage": str(tmp_path / "s.sqlite")},
        }
    )
    return run_spec(spec)


def parameters(width: int) -> int:
    """Convolution of 3 x 3 with bias, normalisation, 10 classes."""
    return width * (9 + 1 + 2 + 10) + 10


def test_everybody_sees_the_structure_that_the_network_ended_with(study: nas.Study, tmp_path: Path) -> None:
    first, second = study.trials
    assert [trial.state for trial in study.trials] == ["complete"] * 2, (first.failure, second.failure)
    # 4 channels, 2 grown, 1 removed; the second trial goes on where the first one ended.
    assert [trial.costs["params"] for trial in study.trials] == [parameters(5)] * 2
    assert [edit["do"] for edit in first.edits] == ["grow", "remove"]
    assert second.edits == first.edits
    images = torch.randn(3, 1, 8, 8)
    opened = nas.load_study(tmp_path / "s.sqlite", trust=True)
    network = opened.network(opened.trial(0)).eval()
    assert network[0].out_channels == 5
    folder = write_bundle(opened, opened.trial(0), network, tmp_path / "bundle")
    again = read_bundle(folder, trust=True).eval()
    assert torch.equal(again(images), network(images))


def test_the_ended_network_goes_to_onnx(study: nas.Study, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    from nasplug.export.onnx import write_onnx

    assert write_onnx(study.network(study.trial(0)), (1, 8, 8), tmp_path / "n.onnx") < 1e-4
