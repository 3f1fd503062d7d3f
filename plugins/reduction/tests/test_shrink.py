"""`shrink` and its command: modules and checkpoints of users, unchanged."""

from __future__ import annotations

import json

import pytest
import torch
from nasplug_reduction import load, shrink

import nasplug as nas
from nasplug.cli import main
from nasplug.contract.errors import PluginImportError, SpecError, StorageError


@pytest.mark.parametrize(("model", "weights"), [("Lit", "w.ckpt"), ("Whole", "whole.ckpt"), ("plain", "plain.pt")])
def test_a_users_model(project, tmp_path, model, weights):
    reduced = shrink(
        f"own_project:{model}",
        project / weights,
        "own_project.Data",
        keep=0.4,
        epochs=2,
        strategy="reduction.uniform",
    )
    assert [row.name for row in reduced.rows] == ["original", "uniform"]
    assert reduced.is_uniform
    assert str(reduced).endswith("no other one was trained to the end.")
    assert reduced.original.metrics["val_acc"] > 0.9  # the checkpoint counts, without any training
    assert reduced.found.costs["params"] <= 0.4 * reduced.original.costs["params"]
    assert reduced.found.metrics["val_acc"] > 0.6
    folder = reduced.write(tmp_path / "small")
    assert {path.name for path in folder.iterdir()} == {
        *("reduction.json", "weights.safetensors", "result.json", "curve.png")
    }
    again = load(folder)
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(again(x), reduced.network(x))


def test_a_trained_module_and_data_as_objects(project):
    import own_project

    module = own_project.Lit.load_from_checkpoint(project / "w.ckpt")
    before = {name: value.clone() for name, value in module.state_dict().items()}
    reduced = shrink(module, data=own_project.Data(), keep=0.4, epochs=1, strategy="reduction.uniform")
    assert type(reduced.network) is type(module.net)
    assert reduced.found.costs["params"] < reduced.original.costs["params"]
    assert all(torch.equal(value, module.state_dict()[name]) for name, value in before.items())


def test_the_command(project, tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    words = ["shrink", "own_project:Lit", "--weights", str(project / "w.ckpt"), "--data", "own_project.Data"]
    words += ["--keep", "0.4", "--epochs", "1", "--strategy", "reduction.uniform", "--out", str(tmp_path / "out")]
    assert main([*words, "--onnx", str(tmp_path / "small.onnx"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in result["rows"]] == ["original", "uniform"]
    assert result["written"] == [str(tmp_path / "out"), str(tmp_path / "small.onnx")]
    from nasplug.export.onnx import run_onnx

    x = torch.randn(2, 3, 8, 8)
    (answer,) = run_onnx(tmp_path / "small.onnx", x)
    assert torch.allclose(answer, load(tmp_path / "out")(x), atol=1e-4)
    # The same again takes the study that is there.
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "original" in shown
    assert "written" in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["own_project:Lit", "--data", "own_project.Data", "--keep", "0.5"], "has no trained weights"),
        (["own_project:Lit", "--weights", "absent.ckpt", "--keep", "0.5"], "there is no weights file"),
        (["own_project:Lot", "--weights", "W", "--keep", "0.5"], "cannot import 'own_project:Lot'"),
        (["own_project:Lit", "--weights", "W", "--data", "own_project.Data"], "there is no budget"),
        (
            ["own_project:Lit", "--weights", "W", "--data", "own_project.Data", "--keep", "0.001"],
            "no network of the space has params <= ",
        ),
        (
            ["own_project:Lit", "--weights", "W", "--data", "own_project.Data", "--keep", "0.5", "--metric", "val_f2"],
            "val_f2",
        ),
        (["own_project:Lit", "--weights", "W", "--latency", "2ms"], "--latency is measured on a target"),
        (["own_project:Lit", "--weights", "W", "--latency", "2", "--target", "cpu"], "cannot read '2'"),
        (
            ["own_project:Lit", "--weights", "W", "--set", "width=8", "--keep", "0.5"],
            "has shape (12, 3, 3, 3) in the file",
        ),
    ],
)
def test_bad_input_is_one_message(project, tmp_path, capsys, words, message):
    words = [str(project / "w.ckpt") if word == "W" else word for word in words]
    code = main(["shrink", *words, "--epochs", "0", "--strategy", "reduction.uniform", "--out", str(tmp_path / "out")])
    shown = capsys.readouterr().err
    assert code in (2, 3)
    assert message in shown
    assert "Traceback" not in shown


def test_a_folder_without_a_network(tmp_path):
    with pytest.raises(StorageError, match="not a reduced network"):
        load(tmp_path)


def test_a_metric_is_read():
    with pytest.raises(SpecError, match="cannot read the metric"):
        shrink("nasplug_reduction.example:small_resnet", "random", "digits", metric="val_acc:up", keep=0.5)


def test_a_folder_of_images_has_the_size_that_is_asked_for(tmp_path):
    pytest.importorskip("timm")
    import numpy as np
    from nasplug_reduction.task import reduction
    from PIL import Image

    for name in ("cat", "dog"):
        for index in range(6):
            path = tmp_path / name / f"{index}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(np.random.default_rng(index).integers(0, 255, (40, 50, 3), np.uint8)).save(path)
    task = reduction("timm:resnet10t", str(tmp_path), inputs=[3, 32, 32])
    assert task.input_shape == (3, 32, 32)
    assert reduction("timm:resnet10t", str(tmp_path)).input_shape[1:] != (32, 32)


def test_only_weights_of_the_result_and_the_best_stay(project, tmp_path):
    given = {"keep": 0.4, "epochs": 1, "storage": tmp_path / "s.sqlite"}
    strategy = nas.component("reduction.greedy", steps=2, candidates=2)
    reduced = shrink("own_project:Lit", project / "w.ckpt", "own_project.Data", strategy=strategy, **given)
    kept = [trial.proposal.info["role"] for trial in reduced.study.trials if "weights" in trial.artifacts]
    assert len(reduced.study.trials) >= 7
    assert len(kept) <= 3
    assert kept[-2:] == ["found", "uniform"]
    assert all(trial.state == "complete" for trial in reduced.study.trials)
    assert torch.isfinite(reduced.network(torch.randn(2, 3, 8, 8))).all()


def test_all_weights_stay_on_request(project):
    reduced = shrink(
        "own_project:Lit",
        project / "w.ckpt",
        "own_project.Data",
        keep=0.4,
        epochs=1,
        retain="all",
        strategy="reduction.uniform",
    )
    assert all("weights" in trial.artifacts for trial in reduced.study.trials)


def test_a_strategy_of_another_kind_is_refused_with_a_way_out(project):
    with pytest.raises(SpecError, match=r"(?s)'random' does not reduce to a budget.*constraint such as `params"):
        shrink("own_project:Lit", project / "w.ckpt", "own_project.Data", keep=0.4, strategy="random")


def test_narrower_widths_are_allowed_by_an_option(project, tmp_path, capsys):
    words = ["shrink", "own_project:Lit", "--weights", str(project / "w.ckpt"), "--data", "own_project.Data"]
    words += ["--strategy", "reduction.uniform", "--epochs", "0", "--out", str(tmp_path), "--json"]
    assert main([*words, "--keep", "0.03"]) == 2
    assert "--least 1" in capsys.readouterr().err
    assert main([*words, "--keep", "0.03", "--least", "1"]) == 0
    assert min(now for _, now in json.loads(capsys.readouterr().out)["widths"].values()) < 4


def test_a_plain_network_without_data_is_refused(project):
    with pytest.raises(SpecError, match=r"(?s)there are no data.*--data"):
        shrink("own_project:plain", project / "plain.pt", keep=0.4)
    with pytest.raises(SpecError, match=r"(?s)there are no data.*the module has no loaders"):
        shrink("own_project:Lit", project / "w.ckpt", keep=0.4)


def test_a_misspelled_model_gets_a_suggestion(project):
    with pytest.raises(PluginImportError, match="did you mean 'Lit'"):
        shrink("own_project:Lti", project / "w.ckpt", "own_project.Data", keep=0.4)
