"""`nasplug demo`: the first minute of a new user."""

from __future__ import annotations

import json
import time

import pytest
import yaml

from nasplug.cli import demo, main
from nasplug.optional import available

pytestmark = pytest.mark.skipif(not available("nasplug_qnas"), reason="needs nasplug-qnas")


@pytest.fixture
def short(monkeypatch):
    """A demo of a few seconds."""
    monkeypatch.setattr(demo, "EPOCHS", 1)
    monkeypatch.setattr(demo, "FINAL_EPOCHS", 1)
    return ["demo", "--trials", "3", "--workers", "1"]


def test_it_searches_trains_tests_and_writes(cli, short, tmp_path):
    done = cli(*short, "--out", "here")
    assert done.code == 0, done.err
    assert "Q-NAS searches networks for handwritten digits" in done.out
    assert "input → " in done.out
    assert "logistic regression                       97." in done.out
    for name in (
        "report.html",
        "study.sqlite",
        "search.yaml",
        "network/weights.safetensors",
        "network/architecture.json",
    ):
        assert (tmp_path / "here" / name).is_file(), name
    suggested = [line.strip() for line in done.out.partition("Try next:")[2].splitlines() if line]
    assert [line.split()[:2] for line in suggested] == [["nasplug", name] for name in ("trials", "cost", "run")]
    result = json.loads((tmp_path / "here" / "network" / "retrain.json").read_text())
    assert f"{100 * result['test']['test_acc']:.1f} %" in done.out

    again = cli(*short, "--out", "here")  # everything is done: the same result, without a second test
    assert again.code == 0
    assert "training the best network" not in again.out
    assert again.out.partition("Accuracy")[2] == done.out.partition("Accuracy")[2]

    fresh = cli(*short, "--out", "here", "--fresh")
    assert "here-2/study.sqlite" in fresh.out
    assert (tmp_path / "here" / "study.sqlite").is_file()


def test_its_specification_is_a_file_for_run(cli, short, tmp_path):
    cli(*short)
    assert (
        yaml.safe_load((tmp_path / "runs/demo/search.yaml").read_text())["run"]["storage"] == "runs/demo/study.sqlite"
    )
    done = cli("run", "runs/demo/search.yaml", "--json")
    assert done.code == 0, done.err
    assert done.json["trials"] == 3
    assert "resuming: 3 trials" in done.err


def test_after_an_interruption_it_tells_the_same_command(cli, short, monkeypatch):
    def interrupt(*arguments, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr("nasplug.run.api.run_spec", interrupt)
    done = cli(*short, "--seed", "4")
    assert done.code == 130
    assert "Go on with: nasplug demo --seed 4 --trials 3\n" in done.err
    assert "nasplug run --resume runs/demo/study.sqlite" in done.err


def test_without_qnas_it_says_what_to_install(cli, short, monkeypatch, tmp_path):
    monkeypatch.setenv("NASPLUG_PLUGINS", "")
    done = cli(*short)
    assert done.code == 3
    assert "pip install nasplug-qnas" in done.err
    assert list(tmp_path.iterdir()) == []


def test_without_training_libraries_it_names_the_extra(cli, short, monkeypatch):
    monkeypatch.setattr(demo, "available", lambda module: module != "torchmetrics")
    done = cli(*short)
    assert done.code == 3
    assert 'torchmetrics is not installed\nDo: pip install "nasplug[train]"' in done.err


def test_nothing_to_resume(cli, short):
    done = cli(*short, "--resume")
    assert done.code == 3
    assert "there is no demo to resume" in done.err


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_the_promise(tmp_path, monkeypatch, seed):
    """At least 98 % on the test images."""
    monkeypatch.chdir(tmp_path)
    started = time.perf_counter()
    assert main(["demo", "--seed", str(seed)]) == 0
    result = json.loads((tmp_path / "runs/demo/network/retrain.json").read_text())
    print(f"{time.perf_counter() - started:.0f} s, test accuracy {result['test']['test_acc']:.4f}")
    assert result["test"]["test_acc"] >= 0.98
