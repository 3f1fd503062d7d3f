"""`nasplug export`, `retrain` and `cost`: networks leave a study."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from nasplug.cli import main
from nasplug.contract.errors import StorageError
from nasplug.export.bundle import read_bundle
from nasplug.optional import available

NETS = Path(__file__).parent / "nets_plugin.py"

pytestmark = pytest.mark.skipif(not available("pytorch_lightning"), reason="needs the extra train")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Three networks trained for an epoch; each is wrapped once."""
    folder = tmp_path_factory.mktemp("nets")
    spec = {
        "space": "mlp",
        "build": [{"scaled": {"factor": 3.0}}],
        "task": {"image_classification": {"limit": 200}},
        "costs": ["params"],
        "budget": {"trials": 3, "epochs": 1},
        "run": {"storage": str(folder / "nets.sqlite")},
        "plugins": [str(NETS)],
    }
    (folder / "nets.yaml").write_text(yaml.safe_dump(spec))
    assert main(["run", str(folder / "nets.yaml")]) == 0
    return folder / "nets.sqlite"


def test_export_writes_what_can_be_read_back(cli, study, tmp_path):
    import torch

    from nasplug.run.api import load_study

    done = cli("export", study, "--trust", "--trial", "1", "--out", "net")
    assert done.code == 0, done.err
    assert "net/weights.safetensors" in done.out
    data = json.loads((tmp_path / "net" / "architecture.json").read_text())
    assert data["space"] == "mlp"
    assert data["build"] == [{"scaled": {"factor": 3.0}}]
    assert data["input_shape"] == [1, 8, 8]
    assert data["outputs"] == 10
    assert data["inputs"] == [1, 8, 8]
    assert data["output"] == {"kind": "vector", "channels": 10}
    assert data["trial"]["number"] == 1
    assert data["versions"]["trained"]["torch"] == torch.__version__.partition("+")[0]
    opened = load_study(study, trust=True)
    images = torch.rand(4, 1, 8, 8)
    with torch.inference_mode():
        assert torch.equal(read_bundle(tmp_path / "net", trust=True)(images), opened.network(opened.trial(1))(images))


def test_export_takes_the_best_and_names_the_folder(cli, study):
    best = cli("trials", study, "--sort", "val_acc", "--limit", "1", "--json").json["trials"][0]
    done = cli("export", study, "--trust", "--json").json
    assert done["trial"] == best["number"]
    assert done["weights"] == str(study.with_name(f"nets-trial-{best['number']}") / "weights.safetensors")


def test_export_writes_the_formats_that_are_named(cli, study, tmp_path):
    card = Path(__file__).parents[1] / "support" / "card_plugin.py"
    words = ["export", study, "--trust", "--plugin", card, "--trial", "1", "--out", "net"]
    done = cli(*words, "--format", "card", "--format", "bundle", "--json")
    assert set(done.json) == {"trial", "label", "card", "weights", "architecture", "onnx_difference"}
    assert (tmp_path / "net" / "card.txt").read_text().startswith("A network\ntrial 1: (1, 8, 8) -> 10, ")
    wrong = cli(*words, "--format", "bundel")
    assert wrong.code == 2
    assert "did you mean 'bundle'" in wrong.err


@pytest.mark.parametrize("damage", ["weights", "json", "absent"])
def test_a_damaged_export_is_refused(cli, study, tmp_path, damage):
    cli("export", study, "--trust", "--out", "net")
    if damage == "weights":
        path = tmp_path / "net" / "weights.safetensors"
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    elif damage == "json":
        (tmp_path / "net" / "architecture.json").write_text("{}")
    folder = tmp_path / ("nowhere" if damage == "absent" else "net")
    with pytest.raises(StorageError):
        read_bundle(folder, trust=True)


@pytest.mark.slow
@pytest.mark.skipif(not available("onnxruntime"), reason="needs the extra onnx")
def test_onnx_computes_the_same(cli, study, tmp_path):
    import numpy as np
    import onnxruntime

    done = cli("export", study, "--trust", "--out", "net", "--onnx", "net.onnx", "--json")
    assert done.json["onnx_difference"] < 1e-5
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"))
    for batch in (1, 5):
        (logits,) = session.run(None, {"input": np.zeros((batch, 1, 8, 8), np.float32)})
        assert logits.shape == (batch, 10)


def test_an_unknown_trial(cli, study):
    for words in (["export", study, "--trial", "7"], ["retrain", study, "--trial", "7"], ["cost", f"{study}#7"]):
        done = cli(*words, "--trust")
        assert done.code == 2
        assert "there is no trial 7" in done.err
        assert "trials 0 to 2" in done.err


def test_retrain_trains_tests_once_and_writes(cli, study, tmp_path):
    done = cli(
        "retrain", study, "--trust", "--trial", "2", "--epochs", "3", "--hyperparameter", "lr=1e-2", "--seed", "5",
        "--set", "task.image_classification.batch_size=32", "--out", "full", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    result = done.json
    assert result == json.loads((tmp_path / "full" / "retrain.json").read_text())
    assert (result["trial"], result["epochs"], result["seed"]) == (2, 3, 5)
    assert result["hyperparameters"] == {"lr": 0.01}
    assert len(result["measurements"]) == 3
    assert 0 <= result["test"]["test_acc"] <= 1
    assert result["validation"]["val_acc"] == max(item["metrics"]["val_acc"] for item in result["measurements"])
    read_bundle(tmp_path / "full", trust=True)
    again = cli("retrain", study, "--trust", "--trial", "2", "--epochs", "3", "--out", "full")
    assert again.code == 3
    assert "holds an earlier retraining" in again.err
    same = cli(
        "retrain", study, "--trust", "--trial", "2", "--epochs", "3", "--hyperparameter", "lr=1e-2", "--seed", "5",
        "--set", "task.image_classification.batch_size=32", "--out", "twin", "--json",
    ).json  # fmt: skip
    assert same["test"] == result["test"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--hyperparameter", "lrr=1"], "there is no hyperparameter 'lrr'"),
        (["--hyperparameter", "lr=-1"], "lr is -1"),
        (["--set", "task.image_classification.bach_size=1"], "did you mean 'batch_size'?"),
        (["--epochs", "0"], "expected a positive integer"),
    ],
)
def test_retrain_refuses_bad_words(cli, study, tmp_path, words, message):
    done = cli("retrain", study, "--trust", "--trial", "0", "--epochs", "1", "--out", "full", *words)
    assert done.code == 2
    assert message in done.err
    assert not (tmp_path / "full" / "retrain.json").exists()


def test_without_test_data_the_weights_are_kept(cli, study, tmp_path, monkeypatch):
    from nasplug.contract.errors import DataError
    from nasplug.data.datamodule import ImageDataModule

    def absent(self):
        raise DataError("there are no test images")

    monkeypatch.setattr(ImageDataModule, "test_dataloader", absent)
    done = cli("retrain", study, "--trust", "--trial", "0", "--epochs", "1", "--out", "full")
    assert done.code == 0
    assert "not tested: there are no test images" in done.out
    assert (tmp_path / "full" / "weights.safetensors").is_file()


def test_costs_of_a_trial(cli, study):
    trial = cli("trials", study, "--json").json["trials"][1]
    done = cli("cost", f"{study}#1", "--trust", "--json").json
    assert list(done) == ["model", "label", "input", "inputs", "params", "trainable_params", "macs", "targets"]
    assert done["label"] == trial["label"]
    assert done["params"] == trial["costs"]["params"]
    assert done["input"] == [1, 8, 8]


def test_costs_of_a_function_and_a_target(cli, monkeypatch):
    monkeypatch.syspath_prepend(NETS.parent)
    words = ["cost", "nets_plugin:tiny_network", "--input", "3x2x2"]
    assert cli(*words, "--json").json["params"] == 26
    done = cli(*words, "--set", "width=4", "--target", "cpu", "--json").json
    assert (done["params"], done["macs"]) == (52, 48)
    assert done["targets"]["cpu"]["latency_s"] > 0
    table = cli(*words).out.splitlines()
    assert table[1].split()[:2] == ["params", "26"]


@pytest.mark.skipif(not available("timm"), reason="needs the extra timm")
def test_costs_of_a_timm_model(cli):
    done = cli("cost", "timm:resnet18", "--input", "3x64x64", "--set", "num_classes=10", "--json").json
    assert done["params"] == 11_181_642  # ResNet-18 of He et al. 2016 with 10 classes
    own = cli("cost", "timm:test_vit", "--json").json
    assert own["input"] == [3, 160, 160]  # what the model's own configuration says
    assert cli("cost", "timm:test_vit", "--set", "in_chans=1", "--json").json["input"] == [1, 160, 160]
    wrong = cli("cost", "timm:resnot18", "--input", "3x64x64")
    assert wrong.code == 2
    assert "did you mean 'resnet18'?" in wrong.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["resnet18", "--input", "3x3"], "names no model"),
        (["nowhere.models:net", "--input", "3x3"], "cannot import"),
        (["collections:OrderedDict", "--input", "3x3"], "not a torch.nn.Module"),
        (["torch.nn:Identity", "--input", "3x3", "--target", "gpu9"], "there is no target 'gpu9'"),
        (["missing.sqlite#0"], "there is no study file"),
        (["missing.sqlite#x"], "expected the number of a trial"),
    ],
)
def test_models_that_are_none(cli, words, message):
    done = cli("cost", *words)
    assert done.code in (2, 3)
    assert message in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("given", "inputs"),
    [
        (["3x8x8"], [3, 8, 8]),
        (["16:int64:50"], {"args": [{"shape": [16], "dtype": "int64", "high": 50}]}),
        (["4", "5"], {"args": [{"shape": [4]}, {"shape": [5]}]}),
        (["input2=5", "input1=4"], {"kwargs": {"input2": {"shape": [5]}, "input1": {"shape": [4]}}}),
    ],
)
def test_inputs_on_the_command_line(given, inputs, capsys, monkeypatch, tmp_path):
    (tmp_path / "net_of_inputs.py").write_text(
        "from torch import nn\n"
        "image = lambda: nn.Conv2d(3, 2, 3)\n"
        "text = lambda: nn.Sequential(nn.Embedding(50, 4), nn.Linear(4, 2))\n"
        "two = lambda: nn.Bilinear(4, 5, 3)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    name, macs = {"3x8x8": ("image", 36 * 27 * 2), "16:int64:50": ("text", 128)}.get(given[0], ("two", 75))
    options = [word for text in given for word in ("--input", text)]
    assert main(["cost", f"net_of_inputs:{name}", *options, "--target", "cpu:repeats=3", "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["inputs"], done["macs"]) == (inputs, macs)
    assert done["targets"]["cpu:repeats=3"]["latency_s"] > 0


@pytest.mark.parametrize("wrong", ["3x0", "16:int64:0", "a b=3", "16::5", ""])
def test_wrong_inputs_on_the_command_line(wrong, capsys):
    assert main(["cost", "somewhere:net", "--input", wrong]) == 2
    assert "is not an input, such as" in capsys.readouterr().err


@pytest.mark.parametrize(("given", "why"), [("width: 0", "width must be positive"), ("depth: 3", "unexpected keyword")])
def test_a_function_that_makes_no_network_is_named_with_its_reason(tmp_path, monkeypatch, capsys, given, why):
    (tmp_path / "my_models.py").write_text(
        "from torch import nn\n\n\ndef small(width=3):\n    if width < 1:\n"
        "        raise ValueError('width must be positive')\n    return nn.Linear(4, width)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    name, _, value = given.partition(": ")
    assert main(["cost", "my_models:small", "--input", "4", "--set", f"{name}={value}"]) == 2
    said = capsys.readouterr().err
    assert "calling my_models:small failed" in said
    assert why in said
