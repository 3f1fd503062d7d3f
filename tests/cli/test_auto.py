"""`nasplug auto` from data to a tested network, and what it says on the way."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b,kind\n" + "".join(f"{i % 10},{i % 7},{'high' if i % 10 > 4 else 'low'}\n" for i in range(200)))
    return path


def test_a_plan_runs_nothing(cli, rows, tmp_path):
    done = cli("auto", rows, "--plan", "--out", tmp_path / "o")
    assert done.code == 0
    assert "column 'kind' is predicted, one of 2 classes" in done.out
    assert "test part is used once" in done.out
    assert not (tmp_path / "o").exists()
    plain = cli("auto", rows, "--plan", "--json", "--out", tmp_path / "o").json
    assert list(plain["spec"]["space"]["with_hyperparameters"]["space"]) == ["tabular_mlp"]
    assert set(plain["plan"]) >= {"data", "task", "space", "strategy", "time", "speed"}


@pytest.mark.slow
def test_from_a_table_to_a_tested_network(cli, rows, tmp_path):
    out = tmp_path / "o"
    done = cli("auto", rows, "--minutes", "0.1", "--workers", 1, "--out", out, "--json")
    assert done.code == 0, done.err
    result = done.json
    assert result["test"]["test_acc"] > 0.8
    assert (out / "network" / "weights.safetensors").is_file()
    assert (out / "network" / "README.md").is_file()
    assert "kind" in (out / "search.yaml").read_text()
    trials = len(json.loads(cli("trials", out / "study.sqlite", "--json").out))
    again = cli("auto", rows, "--minutes", "0.1", "--workers", 1, "--out", out)
    assert again.code == 0, again.err
    assert "trainings of" in again.out
    assert len(json.loads(cli("trials", out / "study.sqlite", "--json").out)) >= trials


@pytest.mark.slow
def test_a_model_of_timm_is_tuned_from_a_file_of_weights(cli, tmp_path):
    timm = pytest.importorskip("timm")
    from safetensors.torch import save_file

    weights, out = tmp_path / "w.safetensors", tmp_path / "o"
    save_file(timm.create_model("test_resnet", num_classes=1000).state_dict(), weights)
    given = ("--pretrained", "test_resnet.r160_in1k", "--weights", weights)
    done = cli("auto", "digits", "--minutes", "0.1", "--workers", 1, "--out", out, "--json", *given)

    assert done.code == 0, done.err
    assert done.json["label"].startswith("test_resnet.r160_in1k")
    (edit,) = json.loads((out / "network" / "architecture.json").read_text())["edits"]
    assert edit["weights"] == "w.safetensors"


def test_other_data_do_not_go_on_with_a_search(cli, rows, tmp_path):
    out = tmp_path / "o"
    out.mkdir()
    (out / "study.sqlite").touch()
    (out / "plan.json").write_text(json.dumps({"task": {"other": {}}, "spec": MINIMAL}))
    done = cli("auto", rows, "--out", out)
    assert done.code == 2
    assert "other data" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "does not exist"),
        (("digits", "--minutes", "0"), "--minutes must be > 0"),
        (("digits", "--minutes", "nan"), "--minutes must be > 0"),
        (("digits", "--target", "a"), "--target is for tables"),
        (("digits", "--weights", "w.safetensors"), "--weights belong to a model"),
        (("digits", "--pretrained", "resnet10x"), "no weights 'timm:resnet10x'"),
    ],
)
def test_mistakes(cli, arguments, message):
    done = cli("auto", *arguments)
    assert done.code == 2
    assert message in done.err


MINIMAL = {"space": "tabular_mlp", "objectives": {"val_acc": "max"}, "budget": {"trials": 1}, "task": "tabular"}
