"""The wrapper `pretrained` in searches: what a training starts from, what the trial records, what is refused."""

from __future__ import annotations

import hashlib
import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import nasplug as nas
from nasplug.builtin.pretrained import Pretrained
from nasplug.contract.errors import NasplugError, SpecError
from nasplug.data.settings import Loading
from nasplug.tasks.settings import Training


class Line(nas.ChoiceSpace):
    def __init__(self) -> None:
        super().__init__("line", [nas.Choice("width", (4, 8))])

    def build(self, architecture, task):
        (width,) = architecture.genotype
        return nn.Sequential(nn.Conv2d(1, width, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36 * width, task.outputs))


@pytest.fixture
def weights(tmp_path):
    donor = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36 * 4, 2))
    save_file(donor.state_dict(), tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


def search(wrapper, **more):
    settings = {"trials": 1, "epochs": 1, "enqueue": [[4]], "progress": False, "costs": ["params"], **more}
    task = nas.ImageClassification(limit=128, training=Training(frozen_epochs=9))
    return nas.search(task, space=Line(), build=[wrapper], **settings)


def test_a_training_starts_from_the_file_and_the_trial_says_which(weights, tmp_path):
    study = search(Pretrained(str(weights)), storage=str(tmp_path / "s.sqlite"))
    trial = study.best
    checksum = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert [dict(edit) for edit in trial.edits] == [
        {"by": "pretrained", "weights": "w.safetensors", "sha256": checksum}
    ]
    kept = study.network(trial)
    assert torch.equal(kept[0].weight, load_file(weights)["0.weight"])  # frozen, so it is what the file holds


def test_a_network_of_another_width_fails_as_a_trial(weights):
    study = search(Pretrained(str(weights)), enqueue=[[4], [8]], trials=2)
    good, bad = study.trials
    assert good.state == "complete"
    assert "of another shape (0.weight" in bad.failure.message


def test_another_file_than_the_stated_one_is_refused(weights, tmp_path):
    storage = str(tmp_path / "s.sqlite")
    checksum = hashlib.sha256(weights.read_bytes()).hexdigest()
    search(Pretrained(str(weights), sha256=checksum), storage=storage)
    changed = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36 * 4, 2))
    save_file(changed.state_dict(), weights)
    with pytest.raises(NasplugError, match="not those that were used before"):
        search(Pretrained(str(weights), sha256=checksum), trials=1, rehearse=True)


@pytest.mark.parametrize("executor", ["inline", "process"])
def test_a_resumed_study_refuses_a_file_that_changed_and_spends_no_trial(weights, tmp_path, executor):
    more = {"storage": str(tmp_path / "s.sqlite"), "enqueue": [[4]] * 4, "remeasure": True, "executor": executor}
    wrapper = nas.component("pretrained", weights=str(weights))
    first = weights.read_bytes()
    search(wrapper, **more)
    with torch.no_grad():
        changed = {name: tensor + 1 for name, tensor in load_file(weights).items()}
    save_file(changed, weights)
    with pytest.raises(SpecError, match="not those that were used before") as caught:
        search(wrapper, trials=3, **more)
    assert hashlib.sha256(first).hexdigest() in str(caught.value)
    assert [trial.state for trial in nas.load_study(more["storage"]).trials if trial.finished] == ["complete"]
    assert len(search(wrapper, trials=1, **more).trials) == 1  # nothing is left to train, so nothing is refused
    weights.write_bytes(first)
    assert [trial.state for trial in search(wrapper, trials=3, **more).trials] == ["complete"] * 3


def test_a_file_that_changes_while_a_study_runs_fails_the_later_trials(weights, monkeypatch):
    class Exchange(nas.Tracker):
        def observed(self, trial):
            save_file({name: tensor + 1 for name, tensor in load_file(weights).items()}, weights)

    more = {"enqueue": [[4]] * 2, "trials": 2, "batch": 1, "remeasure": True, "trackers": [Exchange()]}
    first, second = search(Pretrained(str(weights)), **more).trials
    assert (first.state, second.state) == ("complete", "failed")
    assert "not those that were used before" in second.failure.message


def test_a_missing_file_is_told_when_a_study_goes_on(weights, tmp_path):
    more = {"storage": str(tmp_path / "s.sqlite"), "enqueue": [[4]] * 4, "remeasure": True}
    wrapper = nas.component("pretrained", weights=str(weights))
    search(wrapper, **more)
    weights.unlink()
    with pytest.raises(SpecError, match="there is no weights file"):
        search(wrapper, trials=2, **more)


def test_bundles_need_no_file_of_weights(weights, tmp_path):
    study = search(Pretrained(str(weights)))
    from nasplug.export.bundle import read_bundle, write_bundle

    folder = write_bundle(study, study.best, study.network(study.best), tmp_path / "bundle")
    weights.unlink()
    edits = json.loads((folder / "architecture.json").read_text())["edits"]
    assert edits[0]["weights"] == "w.safetensors"
    objects = {"space": Line(), "build[0]": Pretrained(str(weights))}
    assert read_bundle(folder, trust=True, objects=objects)(torch.zeros(1, 1, 8, 8)).shape == (1, 10)


def test_a_missing_file_is_found_before_the_first_trial(tmp_path):
    with pytest.raises(NasplugError, match="there is no weights file"):
        search(Pretrained(str(tmp_path / "absent.safetensors")), rehearse=True)


def test_images_follow_the_weights_or_the_search_is_refused(tmp_path):
    timm = pytest.importorskip("timm")
    donor = timm.create_model("test_resnet", num_classes=10)
    save_file(donor.state_dict(), tmp_path / "w.safetensors")
    space = nas.component("timm", models=["test_resnet"])
    more = {"space": space, "build": [Pretrained(str(tmp_path / "w.safetensors"))], "trials": 1, "progress": False}
    with pytest.raises(NasplugError, match="normalised to mean") as caught:
        nas.search(nas.ImageClassification(limit=64), **more)
    assert "like: 'timm:test_resnet.r160_in1k'" in str(caught.value)
    task = nas.ImageClassification(limit=64, loading=Loading(like="timm:test_resnet.r160_in1k"))
    assert nas.search(task, **more).best.state == "complete"
    mean = sum(donor.pretrained_cfg["mean"]) / 3
    assert task.preprocessing["mean"] == pytest.approx([mean])


@pytest.mark.parametrize("wrong", [{"weights": ""}, {"normalisation": "weight"}])
def test_bad_arguments(wrong):
    with pytest.raises(SpecError):
        Pretrained(**wrong)
