"""Networks that change while they train (C1): everybody sees what they ended as, or the trial fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import nasplug as nas
from nasplug.cli import main
from nasplug.contract.errors import PluginError
from nasplug.export.bundle import read_bundle, write_bundle
from nasplug.ledger.copying import copy_study
from nasplug.plugins.discovery import discover
from nasplug.run.api import run_spec
from nasplug.run.spec import RunSpec

PLUGIN = Path(__file__).parents[1] / "support" / "growing_plugin.py"
#: Parameters of one hidden layer between 64 pixels and 10 classes.
SIZES = {width: 65 * width + 10 * (width + 1) for width in (4, 7, 8, 11)}


@pytest.fixture
def grow(tmp_path):
    """Runs a search whose networks grow by three units."""

    def run(*, widen=None, strategy="again", trials=4, trackers=(), **keys) -> nas.Study:
        options = {"batch": 2, "storage": str(tmp_path / "s.sqlite"), **keys.pop("run", {})}
        spec = RunSpec.parse(
            {
                "task": {"image_classification": {"data": "digits", "limit": 300, "batch_size": 50}},
                "space": "hidden",
                "strategy": strategy,
                "callbacks": [{"widen": widen or {}}],
                "objectives": {"val_acc": "max", "params": "min"},
                "budget": {"trials": trials, "epochs": 2},
                "plugins": [str(PLUGIN)],
                "run": options,
                **keys,
            }
        )
        return run_spec(spec, trackers=trackers)

    return run


@pytest.fixture
def images():
    return torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def answers(network, images):
    with torch.inference_mode():
        return network.eval()(images)


@pytest.mark.parametrize("executor", ["inline", "process"])
def test_the_trained_network_is_priced_stored_copied_and_loaded(grow, images, executor):
    study = grow(run={"executor": executor, "workers": 1 if executor == "inline" else 2})
    assert [trial.state for trial in study.trials] == ["complete"] * 4, study.trials[0].failure
    assert [trial.costs["params"] for trial in study.trials] == [SIZES[7], SIZES[11]] * 2
    assert [trial.copied_from for trial in study.trials] == [None, None, 0, 1]
    for trial in study.trials:
        assert trial.edits == ({"by": "widen", "units": 3, "how": "wider"},)
        network = study.network(trial)
        assert sum(parameter.numel() for parameter in network.parameters()) == trial.costs["params"]
    assert torch.equal(answers(study.network(study.trial(3)), images), answers(study.network(study.trial(1)), images))


def test_its_outputs_are_those_of_the_training(grow, images, monkeypatch):
    from nasplug.evaluate import lightning

    seen = []
    write = lightning.LightningEvaluator._write

    def watched(self, run, network, recorder, trainer):
        written = write(self, run, network, recorder, trainer)
        seen.append(answers(network, images).clone())
        return written

    monkeypatch.setattr(lightning.LightningEvaluator, "_write", watched)
    study = grow(trials=2)
    for trial, expected in zip(study.trials, seen, strict=True):
        assert torch.equal(answers(study.network(trial), images), expected)


def test_a_file_opened_later_and_its_copy_and_its_bundle(grow, images, tmp_path):
    study = grow(trials=1)
    expected = answers(study.network(study.best), images)
    opened = nas.load_study(tmp_path / "s.sqlite", trust=True)
    assert torch.equal(answers(opened.network(opened.best), images), expected)
    copy_study(tmp_path / "s.sqlite", tmp_path / "copy.sqlite")
    copied = nas.load_study(tmp_path / "copy.sqlite", trust=True)
    assert torch.equal(answers(copied.network(copied.best), images), expected)
    folder = write_bundle(opened, opened.best, opened.network(opened.best), tmp_path / "bundle")
    assert torch.equal(answers(read_bundle(folder, trust=True), images), expected)
    described = json.loads((folder / "architecture.json").read_text())
    assert described["editors"] == [["callback", "widen"]]
    assert described["weights"]["parameters"] == SIZES[7]


def test_a_bundle_whose_editor_is_lost_says_so(grow, tmp_path):
    study = grow(trials=1)
    folder = write_bundle(study, study.best, study.network(study.best), tmp_path / "bundle")
    described = json.loads((folder / "architecture.json").read_text())
    (folder / "architecture.json").write_text(json.dumps({**described, "editors": []}))
    with pytest.raises(nas.NasplugError, match="no plugin can repeat the change"):
        read_bundle(folder, trust=True)


def test_a_study_whose_plugin_is_lost_opens_and_says_what_is_missing(grow, tmp_path):
    plugin = tmp_path / "plugin.py"
    plugin.write_text(PLUGIN.read_text())
    grow(trials=1, plugins=[str(plugin)])
    text = plugin.read_text().replace('catalog.callback("widen"', 'catalog.callback("shrink"')
    plugin.write_text(text)
    command = [sys.executable, "-m", "nasplug.cli", "--plugin", str(plugin), "export", str(tmp_path / "s.sqlite")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "there is no callback 'widen'" in done.stderr
    assert "Traceback" not in done.stderr
    plugin.unlink()
    study = nas.load_study(tmp_path / "s.sqlite", trust=True)
    assert "plugin.py" in study.meta["unavailable"]
    with pytest.raises(nas.NasplugError, match=r"opened without its plugins(.|\n)*plugin\.py"):
        study.network(study.trials[0])


def test_onnx_and_retrain_and_cost_know_the_structure(grow, tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    grow(trials=1)
    file = str(tmp_path / "s.sqlite")
    trusted = ["--plugin", str(PLUGIN)]
    assert (
        main([*trusted, "export", file, "--out", str(tmp_path / "e"), "--onnx", str(tmp_path / "n.onnx"), "--json"])
        == 0
    )
    assert json.loads(capsys.readouterr().out)["onnx_difference"] < 1e-3
    assert main([*trusted, "retrain", file, "--epochs", "2", "--out", str(tmp_path / "r"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    params = nas.load_study(file).best.costs["params"]
    assert result["costs"]["params"] == params
    network = read_bundle(tmp_path / "r", trust=True)
    assert sum(parameter.numel() for parameter in network.parameters()) == params
    assert main([*trusted, "cost", f"{file}#0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["params"] == params


class Stop(Exception):
    pass


class StopAt(nas.Tracker):
    def __init__(self, left):
        self.left = left

    def observed(self, trial):
        self.left -= 1
        if not self.left:
            raise Stop


def test_a_resumed_run_has_the_same_trials(grow, outcome, tmp_path):
    whole = grow(run={"storage": None})
    with pytest.raises(Stop):
        grow(trackers=[StopAt(1)])
    resumed = grow()
    assert outcome(resumed) == outcome(whole)
    for trial in resumed.trials:
        assert sum(p.numel() for p in resumed.network(trial).parameters()) == trial.costs["params"]


def test_a_continued_training_begins_with_the_structure_that_it_continues(grow, outcome):
    study = grow(strategy="promote", trials=2)
    first, second = study.trials
    assert second.state == "complete", second.failure
    assert second.edits == first.edits
    assert second.costs["params"] == first.costs["params"] == SIZES[7]
    assert [measurement.step for measurement in second.measurements] == [3, 4]
    assert sum(p.numel() for p in study.network(second).parameters()) == SIZES[7]


def test_a_pruned_network_is_priced_as_it_ended(grow):
    class Prune:
        @nas.hookimpl
        def should_prune(self, run, measurement):
            return "enough" if measurement.step == 2 else None

    study = nas.search(
        nas.component("image_classification", data="digits", limit=300, batch_size=50),
        space="hidden",
        callbacks=["widen"],
        stoppers=[Prune()],
        objectives={"val_acc": "max", "params": "min"},
        plugins=[PLUGIN],
        enqueue=[[4]],
        trials=1,
        epochs=3,
        progress=False,
    )
    (trial,) = study.trials
    assert (trial.state, trial.reason) == ("pruned", "enough")
    assert trial.costs["params"] == SIZES[7]
    assert trial.edits


@pytest.mark.parametrize(
    ("widen", "reason"),
    [
        ({"says": "nothing"}, "its record does not say how"),
        ({"says": "nothing", "how": "deeper"}, "its record does not say how"),
        ({"says": "less"}, "the recorded edits lead to another structure"),
    ],
)
def test_who_does_not_say_what_changed_fails(grow, widen, reason):
    (trial,) = grow(widen=widen, trials=1).trials
    assert trial.state == "failed"
    assert trial.failure.kind == "structure"
    assert reason in trial.failure.message
    assert "run.edit(record)" in trial.failure.message


def test_an_edit_that_nobody_repeats_fails(train, project):
    class Says:
        @nas.hookimpl
        def configure_callbacks(self, run):
            run.edit({"by": "nobody"})
            return []

    (trial,) = train(callbacks=[Says()]).trials
    assert trial.state == "failed"
    assert "no plugin can repeat the change {'by': 'nobody'}" in trial.failure.message


def test_a_lightning_callback_with_hooks_is_refused(train):
    import pytorch_lightning as pl

    class Both(pl.Callback):
        @nas.hookimpl
        def edit(self, network, edit):
            return network

    with pytest.raises(PluginError, match="would never be called"):
        train(callbacks=[Both()])


def test_the_plugin_file_announces_what_it_has():
    assert discover([PLUGIN]).catalog.has("callback", "widen")
