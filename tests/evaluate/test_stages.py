"""Trials of several fits (C6): results outlive an interruption, measurements and seeds belong to a stage."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import nasplug as nas
from nasplug.contract.errors import PluginError
from nasplug.evaluate.stages import Stage, read_stage
from nasplug.evaluate.trialrun import TrialRun
from nasplug.ledger.ledger import Ledger
from nasplug.run.api import run_spec
from nasplug.run.spec import RunSpec
from nasplug.testing import SyntheticSpace

PLUGIN = Path(__file__).parents[1] / "support" / "working_plugin.py"
SPACE = SyntheticSpace(length=3)


def specification(evaluator=None, *, run=None, trials=3, **keys) -> RunSpec:
    given = {key: str(value) if isinstance(value, Path) else value for key, value in (evaluator or {}).items()}
    return RunSpec.parse(
        {
            "space": "line",
            "evaluator": {"folds": given},
            "budget": {"trials": trials, "epochs": 3},
            "plugins": [str(PLUGIN)],
            "run": {"batch": 2, **(run or {})},
            **keys,
        }
    )


def folds(evaluator=None, **keys) -> nas.Study:
    return run_spec(specification(evaluator, **keys))


def make_run(tmp_path, trial=None) -> TrialRun:
    ledger = Ledger.of(SPACE, {"score": "max"}, folder=tmp_path)
    trial = trial or nas.Trial(0, ledger.view.proposal(SPACE.architecture(["wide"] * 3)), seed=7)
    return TrialRun(trial, ledger.view)


def test_measurements_and_results_name_their_stage():
    for trial in folds().trials:
        assert trial.state == "complete"
        steps = [(m.stage, m.step, m.metrics["score"]) for m in trial.measurements]
        assert steps == [(f"fold-{k}", step, step / 10 + k) for k in range(3) for step in (1, 2, 3)]
        assert list(trial.stages) == ["fold-0", "fold-1", "fold-2"]
        assert trial.stages["fold-1"] == {"score": 0.5}
        assert nas.Trial.from_json(json.loads(json.dumps(trial.to_json()))) == trial


def test_seeds_differ_from_stage_to_stage_and_are_the_same_again(tmp_path):
    logs = []
    for name in ("a", "b"):
        folds({"log": tmp_path / name})
        logs.append((tmp_path / name).read_text())
    assert logs[0] == logs[1]
    assert len({line.split()[2] for line in logs[0].splitlines()}) == 9


@pytest.mark.parametrize("stage", ["fold-0", "fold-1", "fold-2"])
def test_a_trial_whose_process_is_killed_goes_on_with_the_next_stage(tmp_path, outcome, stage):
    run = {"executor": "process", "workers": 1, "storage": str(tmp_path / "s.sqlite")}
    study = folds({"log": tmp_path / "log", "die_in": stage}, run=run)
    assert outcome(study) == outcome(folds())
    times = Counter(" ".join(line.split()[:2]) for line in (tmp_path / "log").read_text().splitlines())
    assert times == {f"{k} fold-{i}": 2 if (k, f"fold-{i}") == (0, stage) else 1 for k in range(3) for i in range(3)}


@pytest.mark.parametrize("executor", ["inline", "process"])
def test_a_driver_that_is_killed_finds_the_stages_on_resume(tmp_path, outcome, executor):
    log = tmp_path / "log"
    spec = specification(
        {"log": log, "seconds": 0.2}, run={"executor": executor, "storage": str(tmp_path / "s.sqlite")}
    )
    script = tmp_path / "driver.py"
    script.write_text(
        textwrap.dedent(f"""
            from nasplug.run.api import run_spec
            from nasplug.run.spec import RunSpec
            if __name__ == "__main__":
                run_spec(RunSpec.parse({spec.to_plain()!r}))
        """)
    )
    driver = subprocess.Popen([sys.executable, str(script)], start_new_session=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (log.exists() and len(log.read_text().splitlines()) >= 5):
        time.sleep(0.005)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    assert driver.returncode == -signal.SIGKILL
    before = [line.split()[:2] for line in log.read_text().splitlines()]
    time.sleep(0.5)  # worker processes follow their driver
    study = run_spec(spec)
    assert outcome(study) == outcome(folds())
    times = Counter(" ".join(line.split()[:2]) for line in log.read_text().splitlines())
    again = {name for name, count in times.items() if count > 1}
    assert again <= {" ".join(before[-1])}  # at most the one that was running
    assert len(times) == 9


@pytest.mark.parametrize("stage", ["fold-0", "fold-2"])
@pytest.mark.parametrize("executor", ["inline", "process"])
def test_a_pruner_ends_a_trial_in_the_middle_of_a_stage(stage, executor):
    study = folds(stoppers=[{"at_fold": {"stage": stage}}], run={"executor": executor})
    done = int(stage[-1])
    for trial in study.trials:
        assert (trial.state, trial.reason) == ("pruned", "enough")
        assert len(trial.measurements) == 3 * done + 2
        assert trial.measurements[-1].stage == stage
        assert list(trial.stages) == [f"fold-{k}" for k in range(done)]


def test_results_that_are_not_numbers_are_kept(tmp_path):
    study = folds({"result": math.nan}, run={"storage": str(tmp_path / "s.sqlite")})
    assert all(trial.state == "complete" for trial in study.trials)
    opened = nas.load_study(tmp_path / "s.sqlite", trust=True)
    assert all(math.isnan(trial.stages["fold-1"]["score"]) for trial in opened.trials)
    run = make_run(tmp_path)
    with run.stage("a") as stage:
        stage.report(1, {"loss": float("inf")})
        stage.finish({"loss": float("nan"), "acc": 1})
    kept = read_stage(run.folder, "a", run.trial)
    assert math.isnan(kept.metrics["loss"])
    assert kept.measurements[0].metrics["loss"] == math.inf


def test_numbers_of_numpy_and_torch_are_numbers(tmp_path):
    import torch

    run = make_run(tmp_path)
    with run.stage("a") as stage:
        stage.report(1, {"loss": np.float32(0.5), "acc": torch.tensor(0.25)})
        stage.finish({"loss": np.float32(0.5)})
    again = read_stage(run.folder, "a", run.trial)
    assert again.metrics == {"loss": 0.5}
    assert again.measurements == [nas.Measurement(1, {"loss": 0.5, "acc": 0.25}, "a")]


@pytest.mark.parametrize("change", [{"number": 1}, {"seed": 8}, {"proposal": "other"}])
def test_the_file_of_another_trial_is_not_taken(tmp_path, change):
    run = make_run(tmp_path)
    with run.stage("a") as stage:
        stage.finish({"loss": 1.0})
    if change.get("proposal"):
        change = {"proposal": run.study.proposal(SPACE.architecture(["skip"] * 3))}
    assert read_stage(run.folder, "a", run.trial).finished
    assert read_stage(run.folder, "a", run.trial.with_(**change)) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"identity": 3}', "\x00"])
def test_a_damaged_file_is_not_taken(tmp_path, text):
    run = make_run(tmp_path)
    (run.folder / "stage-a.json").write_text(text)
    with run.stage("a") as stage:
        assert not stage.finished
        stage.finish({"loss": 1.0})
    assert read_stage(run.folder, "a", run.trial).metrics == {"loss": 1.0}


def test_a_stage_found_again_brings_its_measurements(tmp_path):
    first = make_run(tmp_path)
    with first.stage("a") as stage:
        stage.report(1, {"loss": 2.0})
        stage.finish({"loss": 1.0})
    second = make_run(tmp_path)
    with second.stage("a") as stage:
        assert stage.finished
    assert second.measurements == first.measurements


def test_what_an_evaluator_does_wrong_is_told(tmp_path):
    run = make_run(tmp_path)
    with pytest.raises(PluginError, match="ended without a result"), run.stage("a"):
        pass
    with pytest.raises(PluginError, match="opened twice"), run.stage("a"):
        pass
    with pytest.raises(PluginError, match="cannot name a stage"), run.stage("../b"):
        pass
    with pytest.raises(ValueError, match="mine"), run.stage("c"):
        raise ValueError("mine")
    assert Stage("d", run.folder, run.trial).seed != run.trial.seed
