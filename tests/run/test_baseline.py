"""The network that trials are compared with: trained alike, no trial, and in nobody's way."""

from __future__ import annotations

import json
from typing import ClassVar

import pytest
import torch
from torch import nn

import nasplug as nas
from nasplug.contract.errors import NasplugError, SpecError, TrustError
from nasplug.contract.records import BASELINE
from nasplug.ledger.copying import copy_study
from nasplug.ledger.inventory import take_inventory
from nasplug.ledger.sqlite import SQLiteStorage
from nasplug.optional import available
from nasplug.run.api import load_study, run_spec
from nasplug.run.baseline import BaselineSpec
from nasplug.run.spec import RunSpec

TASK = {"image_classification": {"limit": 96, "batch_size": 32}}


class Widths(nas.ChoiceSpace):
    def __init__(self):
        super().__init__("widths", [nas.Choice("width", (2, 3, 4, 5))])

    def build(self, architecture, task):
        return small(task, architecture.genotype[0])


def small(task, width=8):
    inputs = torch.Size(task.input_shape).numel()
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, task.outputs))


def fixed() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def search(baseline=None, **more):
    given = {"trials": 3, "epochs": 2, "costs": ["params"], "progress": False, **more}
    task = nas.ImageClassification(limit=96, batch_size=32)
    return nas.search(task, space=Widths(), baseline=baseline, **given)


def told(study):
    return [(t.number, t.architecture.key, t.seed, dict(t.metrics), dict(t.costs), t.state) for t in study.trials]


@pytest.fixture(scope="module")
def plain():
    return search()


@pytest.mark.parametrize(
    ("baseline", "label", "params"),
    [
        (small, "small", 64 * 8 + 8 + 8 * 10 + 10),
        (fixed, "fixed", 650),
        ({"network": small, "hyperparameters": {"lr": 0.1}}, "small", 610),
        (f"{__name__}:fixed", "fixed", 650),
        ({f"{__name__}:small": {"width": 4}}, "small width=4", 64 * 4 + 4 + 4 * 10 + 10),
        ({"genotype": [5]}, "width=5", 64 * 5 + 5 + 5 * 10 + 10),
    ],
)
def test_every_form_is_trained_and_changes_no_trial(plain, baseline, label, params):
    study = search(baseline)
    found = study.baseline
    assert found.state == "complete"
    assert (found.label, found.costs["params"]) == (label, params)
    assert 0 <= found.metrics["val_acc"] <= 1
    assert len(found.measurements) == 2
    assert told(study) == told(plain)
    assert found not in study.trials
    assert plain.baseline is None
    assert sum(p.numel() for p in study.network(found).parameters()) == params


@pytest.mark.skipif(not available("timm"), reason="needs the extra timm")
def test_timm_in_worker_processes_after_resuming_a_finished_study(plain, tmp_path):
    storage = tmp_path / "study.sqlite"
    assert search(storage=storage).baseline is None
    study = search("timm:test_resnet", storage=storage, workers=2)
    assert study.baseline.label == "test_resnet"
    assert study.baseline.state == "complete"
    assert told(study) == told(plain)
    for opened in (load_study(storage, objects={"space": Widths(), "task": None}), search(storage=storage)):
        assert opened.baseline == study.baseline
        assert "baseline" not in opened.meta


def test_the_file_keeps_it_and_another_one_replaces_it(tmp_path):
    storage = tmp_path / "study.sqlite"
    first = search(small, storage=storage).baseline
    study = nas.search(
        nas.ImageClassification(limit=96, batch_size=32), space=Widths(), baseline=small, storage=storage,
        trials=3, epochs=2, costs=["params"], progress=False,
    )  # fmt: skip
    assert study.baseline == first  # not trained again, which would warn
    copy_study(storage, tmp_path / "copy.sqlite")
    for path in (storage, tmp_path / "copy.sqlite"):
        file = SQLiteStorage(path, writable=False)
        inventory = take_inventory(file)
        file.close()
        assert inventory.sound
        assert not inventory.orphans
        assert inventory.checked >= 4
    assert search(fixed, storage=storage).baseline.label == "fixed"
    (weights,) = (tmp_path / "study.sqlite.files").glob("*/baseline/weights*")
    weights.write_bytes(b"other")
    file = SQLiteStorage(storage, writable=False)
    assert take_inventory(file).changed == [weights]
    file.close()


def broken(task):
    raise ValueError("no such network")


class Grumpy:
    """A wrapper that breaks its contract for the network of the baseline alone."""

    @nas.hookimpl(wrapper=True)
    def build(self, run):
        network = yield
        return None if run.number == BASELINE else network


@pytest.mark.parametrize(
    ("baseline", "more", "says"), [(broken, {}, "no such network"), (fixed, {"build": [Grumpy()]}, "not a network")]
)
def test_a_failure_is_said_once_and_ends_nothing(plain, baseline, more, says):
    with pytest.warns(RuntimeWarning, match="goes on without it"):
        study = search(baseline, **more)
    assert study.baseline.state == "failed"
    assert says in study.baseline.failure.message
    assert told(study) == told(plain)


def test_a_failed_baseline_is_tried_again_when_asked(tmp_path, monkeypatch):
    storage = tmp_path / "study.sqlite"
    data = {
        "space": {"class_path": f"{__name__}.Widths"}, "task": TASK, "budget": {"trials": 1, "epochs": 1},
        "baseline": f"{__name__}:fixed", "run": {"storage": str(storage)},
    }  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(f"{__name__}.fixed", broken)
        with pytest.warns(RuntimeWarning, match="goes on without it"):
            assert run_spec(RunSpec.parse(data)).baseline.state == "failed"
    assert run_spec(RunSpec.parse(data)).baseline.state == "failed"
    assert run_spec(RunSpec.parse(data), retry_failed="error").baseline.state == "complete"


def test_constraints_and_stoppers_do_not_meet_it():
    study = search(small, constraints=["params <= 300"], stoppers=[nas.component("median", warmup=0, trials=1)])
    assert study.baseline.state == "complete"
    assert study.baseline.costs["params"] == 610


class Watching:
    """Random search that notes all it can see."""

    def __init__(self):
        self.seen: list[str] = []

    @nas.hookimpl
    def propose(self, study, count):
        self.seen.append(json.dumps([list(study.meta), len(study.trials), [t.number for t in study.pending]]))
        return [study.proposal(study.space.architecture([2 + study.proposed % 4]))]

    @nas.hookimpl
    def observe(self, study, trial):
        self.seen.append(str(trial.number))


def test_a_strategy_does_not_see_it():
    with_it, without = Watching(), Watching()
    search(small, strategy=with_it)
    search(strategy=without)
    assert with_it.seen == without.seen


@pytest.mark.parametrize(
    ("baseline", "says"),
    [
        ("resnet18", "names no network"),
        ({"genotype": [9]}, "not an option"),
        ({"genotype": [2], "network": "timm:resnet18"}, "cannot read"),
        ({"network": small, "hyperparameters": {"no_such": 1}}, "no_such"),
        ({"network": small, "hyperparameters": {"lr": [1]}}, "expected a number"),
        (fixed(), "not a function that makes a network"),
        ("no_such_module:make", "cannot import"),
        pytest.param("timm:resnett18", "did you mean", marks=pytest.mark.skipif(not available("timm"), reason="timm")),
        pytest.param("timm:resnet*", "several", marks=pytest.mark.skipif(not available("timm"), reason="timm")),
    ],
)
def test_what_cannot_be_is_refused_before_anything_trains(baseline, says):
    with pytest.raises(NasplugError, match=says):
        nas.search(nas.ImageClassification(limit=96), space=Widths(), baseline=baseline, trials=1, progress=False)


class Table:
    """An evaluator that trains nothing."""

    objectives: ClassVar = {"score": "max"}

    @nas.hookimpl
    def evaluate(self, run):
        return nas.Evaluation({"score": run.trial.architecture.genotype[0] / 10})


def test_without_a_task_only_a_genotype_can_be_one():
    with pytest.raises(SpecError, match="only with a task"):
        nas.search(space=Widths(), evaluator=Table(), baseline=small, trials=1, progress=False)
    study = nas.search(space=Widths(), evaluator=Table(), baseline={"genotype": [4]}, trials=2, progress=False)
    assert study.baseline.metrics == {"score": 0.4}


def test_a_study_from_elsewhere_runs_no_code_of_its_baseline(tmp_path):
    storage = tmp_path / "study.sqlite"
    data = {
        "space": {"timm": {"models": ["test_resnet"]}}, "task": TASK, "budget": {"trials": 1},
        "run": {"storage": str(storage)}, "baseline": f"{__name__}:fixed",
    }  # fmt: skip
    if not available("timm"):
        pytest.skip("needs the extra timm")
    run_spec(RunSpec.parse(data))
    study = load_study(storage)
    with pytest.raises(TrustError, match="test_baseline"):
        study.network(study.baseline)
    trusted = load_study(storage, trust=True)
    assert sum(p.numel() for p in trusted.network(trusted.baseline).parameters()) == 650


@pytest.mark.parametrize(
    "value",
    [
        "timm:resnet18",
        {"timm:resnet18": {"drop_rate": 0.1}},
        "a.b:c",
        {"class_path": "a.b.C", "init_args": {"width": 3}},
        {"genotype": [1, 2]},
        {"genotype": [1, 2], "hyperparameters": {"lr": 0.1}},
        {"network": "timm:resnet18", "hyperparameters": {"lr": 0.1}},
    ],
)
def test_plain_data_and_back(value):
    spec = BaselineSpec.parse(value)
    assert BaselineSpec.parse(json.loads(json.dumps(spec.to_plain()))) == spec
    whole = RunSpec.parse({"space": "timm", "baseline": value})
    assert RunSpec.parse(whole.to_plain()).baseline == spec
    assert whole.fingerprint() == RunSpec.parse({"space": "timm"}).fingerprint()
