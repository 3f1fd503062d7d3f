"""Tests of `nasplug_darts_lp.supernet.work`."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from nasplug_darts_lp.spaces.layers.space import LayersSpace
from nasplug_darts_lp.supernet import work
from nasplug_darts_lp.supernet.capability import HasSupernet
from nasplug_darts_lp.supernet.settings import LogitsSettings
from nasplug_darts_lp.supernet.strategy import DifferentiableSearch
from nasplug_darts_lp.supernet.work import state_file

import nasplug as nas
from nasplug.contract.errors import SpecError, StorageError
from nasplug.contract.tracker import Tracker
from nasplug.evaluate.workrun import WorkRun, carry_out
from nasplug.ledger.ledger import Ledger
from nasplug.testing import outcome

SPACE = LayersSpace(width=0.125, blocks=1, weight_bits=(1, 4), activation_bits=(2, 8), first_last_bits=None)
TASK = nas.ImageClassification(limit=60, batch_size=16)


def rounds(**options):
    return DifferentiableSearch(rounds=2, epochs=1, derive=2, logits=LogitsSettings(warmup=0.0, **options)).rounds


def ledger(tmp_path):
    return Ledger.of(SPACE, {"val_acc": "max"}, task=TASK, folder=tmp_path)


def do(study, described, earlier=(), heard=None):
    return carry_out(WorkRun(described.work(study, earlier), study, emit=heard))


def test_two_rounds(tmp_path):
    study, described, heard = ledger(tmp_path).view, rounds(), []
    assert isinstance(study.space, HasSupernet)
    first = do(study, described, heard=lambda share, metrics: heard.append((share, metrics["loss"])))
    assert first.failure is None
    assert list(first.checksums) == [first.result["file"]] == ["round-000.safetensors"]
    assert heard[-1][0] == 1.0
    assert heard[-1][1] == pytest.approx(first.result["losses"][-1], abs=1e-3)
    earlier = [described.record(study, [], first)]
    second = do(study, described, earlier)
    keys = [network["key"] for found in (first, second) for network in found.result["networks"]]
    assert len(set(keys)) == 4
    again = do(study, described, earlier)
    assert (again.result, again.checksums) == (second.result, second.checksums)
    state_file(study.work_folder(first.key), 0).write_bytes(b"cut short")
    with pytest.raises(StorageError, match="the round before"):
        do(study, described, earlier)


def test_threads_are_those_of_the_run(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(work, "train_round", lambda plan, *_: seen.append((plan.device, plan.threads)) or 1 / 0)
    study = ledger(tmp_path).view
    with pytest.raises(ZeroDivisionError):
        carry_out(WorkRun(rounds().work(study, []), study, device="cuda:1", threads=2))
    assert seen == [("cuda:1", 2)]


def test_data_that_cannot_be_divided_are_no_failure_of_one_round(tmp_path):
    with pytest.raises(SpecError, match="left for the logits"):
        do(ledger(tmp_path).view, rounds(fraction=0.01))


# -- whole searches -----------------------------------------------------------------------------------------------

SEARCH = {
    "task": nas.component("image_classification", limit=60, batch_size=16),
    "space": nas.component(
        "darts_lp.layers", width=0.125, blocks=1, weight_bits=[1, 4], activation_bits=[2, 8], first_last_bits=None
    ),
    "objectives": {"val_acc": "max"},
    "epochs": 1,
    "batch": 2,
    "trials": 6,
    "progress": False,
}
STRATEGY = nas.component("darts_lp.search", rounds=3, epochs=2, derive=2, logits={"warmup": 0.0})


class Heard(Tracker):
    def __init__(self):
        self.works = []

    def worked(self, key, share, metrics):
        if key not in self.works:
            self.works.append(key)


def test_files_of_a_round_that_are_gone_are_made_again(tmp_path):
    path, heard, options = tmp_path / "study.sqlite", Heard(), SEARCH | {"strategy": STRATEGY}
    study = nas.search(**options | {"trials": 4}, storage=path, trackers=[heard])
    first, second = heard.works
    state_file(study.artifacts() / "jobs" / first, 0).unlink()
    again = Heard()
    resumed = nas.search(**options, storage=path, trackers=[again])
    assert again.works[0] == first
    assert second not in again.works
    assert len(again.works) == 2
    assert outcome(resumed) == outcome(nas.search(**options))


PROGRAM = """
import json, os, signal, sys
import nasplug as nas
from nasplug.contract.tracker import Tracker

class Kill(Tracker):
    keys = []
    def worked(self, key, share, metrics):
        if key not in self.keys:
            self.keys.append(key)
        if len(self.keys) == 2 and share < 1.0:
            os.kill(os.getpid(), signal.SIGKILL)

def main(path, executor, workers, kill):
    nas.search(
        nas.component("image_classification", limit=60, batch_size=16),
        space=nas.component("darts_lp.layers", width=0.125, blocks=1, weight_bits=[1, 4], activation_bits=[2, 8],
                            first_last_bits=None),
        strategy=nas.component("darts_lp.search", rounds=3, epochs=2, derive=2, logits={"warmup": 0.0}),
        objectives={"val_acc": "max"}, epochs=1, batch=2, trials=6, progress=False, storage=path, executor=executor,
        workers=workers, trackers=[Kill()] if kill else [],
    )

if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "kill")
"""


LIGHT = """
import sys
import nasplug as nas
from nasplug.testing import SyntheticEvaluator

if __name__ == "__main__":
    study = nas.search(
        nas.component("image_classification", limit=60, batch_size=16),
        space=nas.component("darts_lp.layers", width=0.125, blocks=1, weight_bits=[1, 4], activation_bits=[2, 8],
                            first_last_bits=None),
        strategy=nas.component("darts_lp.search", rounds=2, epochs=1, derive=1, mixing={"kind": "softmax"},
                               supernet={"scaling": "gradient"}, training={"lr": 0.1}, logits={"warmup": 0.0},
                               cost={"weight": 0.1}),
        evaluator=SyntheticEvaluator(), objectives={"val_acc": "max"}, trials=2, progress=False, executor="process",
    )
    print(sum(trial.state == "complete" for trial in study.trials), "torch" in sys.modules)
"""


def drive(tmp_path, executor, workers, kill=""):
    program = tmp_path / "drive.py"
    program.write_text(PROGRAM)
    path = tmp_path / "study.sqlite"
    done = subprocess.run(
        [sys.executable, str(program), str(path), executor, str(workers), kill],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    return path, done


@pytest.fixture(scope="module")
def whole():
    return outcome(nas.search(**SEARCH, strategy=STRATEGY))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_worker_processes_give_the_same_trials(workers, tmp_path, whole):
    path, done = drive(tmp_path, "process", workers)
    assert done.returncode == 0, done.stderr
    assert outcome(nas.load_study(path)) == whole


@pytest.mark.slow
def test_the_driver_of_worker_processes_imports_no_torch(tmp_path):
    """The evaluator here needs none in the driver; whether the built-in one does is not the strategy's affair."""
    program = tmp_path / "light.py"
    program.write_text(LIGHT)
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=600, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["2", "False"]), done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["inline", "process"])
def test_a_driver_killed_in_the_second_round_goes_on(executor, tmp_path, whole):
    path, done = drive(tmp_path, executor, 1, "kill")
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(nas.load_study(path).trials) < 6
    heard = Heard()
    resumed = nas.search(**SEARCH, strategy=STRATEGY, storage=path, trackers=[heard])
    assert len(heard.works) == 2  # the first is not trained again
    assert outcome(resumed) == whole


@pytest.mark.slow
def test_a_supernet_that_takes_too_long_is_a_failed_trial():
    strategy = nas.component("darts_lp.search", rounds=2, epochs=500, derive=2, time_limit=6.0)
    study = nas.search(**SEARCH, strategy=strategy, executor="process")
    assert [trial.failure.kind for trial in study.trials] == ["timeout"] * 2
    assert "the supernet of round 0 failed: ran longer than the time limit" in study.trials[0].failure.message
    assert len({trial.architecture.key for trial in study.trials}) == 2
