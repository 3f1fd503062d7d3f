"""`nasplug npu run` on the bundle of a quantised network."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("nasplug_darts_lp", reason="needs nasplug-darts-lp")

import torch
from nasplug_darts_lp.folding import fold
from nasplug_darts_lp.layers.quantise import quantise
from nasplug_npu.machine import command
from torch import nn

from nasplug.cli import main


@pytest.fixture
def bundle(monkeypatch):
    """A folded network in the place of a bundle: reading bundles has tests of its own."""
    torch.manual_seed(0)
    tail = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)]
    network = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 1), nn.ReLU(), *tail)
    quantised = quantise(network, weight_bits=4, activation_bits=4, activations="fixed")
    quantised(torch.randn(4, 1, 6, 6))
    folded = fold(quantised.eval(), (1, 6, 6))
    monkeypatch.setattr(command, "_folded", lambda path, trust: folded)
    return "bundle"


def test_a_table_and_what_is_left(bundle, capsys):
    arguments = ["npu", "run", bundle, "--simulator", "functional", "--partial", "--count", "3"]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "0 of 576 numbers differ" in said.replace("\n", " ")
    assert "left to the host" in said


def test_images_of_a_file_and_json(bundle, tmp_path, capsys):
    np.save(tmp_path / "images.npy", np.zeros((2, 1, 6, 6), dtype=np.float32))
    arguments = ["npu", "run", bundle, "--simulator", "functional", "--partial", "--json"]
    assert main([*arguments, "--images", str(tmp_path / "images.npy"), "--target", "narrow"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["unit"]["name"] == "machine_narrow"
    assert found["differing"] == 0
    assert [layer["numbers"] for layer in found["layers"]] == [2 * 6 * 16, 2 * 6 * 16]


def test_what_cannot_be_read_or_run_is_said(bundle, tmp_path, capsys):
    assert main(["npu", "run", bundle, "--simulator", "functional"]) != 0
    assert "the machine has no ExactAvgPool" in capsys.readouterr().err.replace("\n", " ")
    np.save(tmp_path / "images.npy", np.zeros((2, 1, 5, 6), dtype=np.float32))
    arguments = ["npu", "run", bundle, "--partial", "--simulator", "functional"]
    assert main([*arguments, "--images", str(tmp_path / "images.npy")]) != 0
    assert "images of shape (2, 1, 5, 6)" in capsys.readouterr().err.replace("\n", " ")
    assert main([*arguments, "--target", "cortex_m7"]) != 0
    assert "described by rates" in capsys.readouterr().err.replace("\n", " ")
