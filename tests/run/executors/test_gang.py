"""Trials on several devices: the processes train one network, and are lost, stopped and ended together."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
import torch

from nasplug.contract.errors import SpecError
from nasplug.contract.records import Budget, Inherit, Proposal, Trial
from nasplug.evaluate.weights import read_tensors
from nasplug.plugins.discovery import discover
from nasplug.run.assemble import compose
from nasplug.run.executors.gang import Gang, runner
from nasplug.run.executors.inline import InlineExecutor
from nasplug.run.executors.launch import Launch
from nasplug.run.executors.process import ProcessExecutor
from nasplug.run.jobs import Job
from nasplug.run.spec import RunSpec
from nasplug.run.worker import Worker
from tests.support.several_plugin import Network, points

pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no distributed package")
PLUGIN = Path(__file__).parents[2] / "support" / "several_plugin.py"


def launched(folder, task="points", **keys):
    spec = RunSpec.parse(
        {
            "space": "troubled",
            "task": task,
            "callbacks": ["editing"],
            "budget": {"trials": 9, "epochs": 3},
            "plugins": [str(PLUGIN)],
            **keys,
        }
    )
    return Launch(compose(spec, discover(spec.plugins).catalog), folder, lambda key, message: None)


def made(folder, task="points", device="cpu:0,1", **keys):
    """A gang of a run, or the worker in its place."""
    launch = launched(folder, task, run={"device": device}, **keys)
    return runner(Worker(launch.assembly, folder), launch.bootstrap)


@pytest.fixture(scope="module")
def gang(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gang")
    os.environ["SEVERAL_FLAG"] = str(folder / "flag")
    gang = made(folder)
    yield gang
    gang.close()


def job(gang, trouble="none", width=4, number=0, seed=3):
    space = gang._worker.assembly.space
    return Job(Trial(number, Proposal(space.architecture((width, trouble))), seed=seed))


def pids(gang):
    return [member.process.pid for member in gang._members]


def gone(pid):
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_two_processes_train_one_network_on_all_the_data(gang):
    told = []
    trial = gang.run(job(gang), lambda key, message: told.append((key, message)))
    assert trial.state == "complete", trial.failure
    assert [message for _, message in told] == list(trial.measurements)
    assert [item.step for item in trial.measurements] == [1, 2, 3]
    # Each saw 4 of the 8 batches of an epoch, other ones than the other: the mean of both smallest is not the smallest.
    assert trial.metrics["seen"] == 32
    values = points(64).tensors[0][:, 0]
    assert trial.metrics["first"] > values.min().item()
    losses = [item.metrics["val_loss"] for item in trial.measurements]
    assert losses[-1] < losses[0]


def test_metrics_are_those_of_the_kept_network_on_all_validation_data(gang):
    trial = gang.run(job(gang, number=1))
    network = Network(4, "none")
    network.load_state_dict(read_tensors(gang._worker.folder / trial.artifacts["weights"]))
    network.eval()
    x, y = (tensor[64:94] for tensor in points(94).tensors)
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(network(x), y).item()
    assert loss == pytest.approx(trial.metrics["val_loss"], rel=1e-6)


def test_equal_trials_are_equal_and_processes_draw_numbers_of_their_own(gang):
    first, again, other = (gang.run(job(gang, number=number, seed=seed)) for number, seed in ((2, 3), (2, 3), (2, 4)))
    assert first.with_(seconds=0.0) == again.with_(seconds=0.0)
    assert first.metrics != other.metrics
    assert first.metrics["draw"] not in _draws(seed=3)  # the mean of two that differ


def _draws(seed):
    """What the first process alone would have drawn, among other numbers."""
    torch.manual_seed(seed)
    return torch.rand(1000).tolist()


def test_one_that_raises_fails_the_trial_with_its_reason_and_device(gang):
    failure = gang.run(job(gang, "second raises")).failure
    assert (failure.kind, failure.message) == ("error", "on cpu:1: RuntimeError: bad luck")
    assert gang.run(job(gang)).state == "complete"


def test_what_both_raise_is_told_once(gang):
    failure = gang.run(job(gang, "both raise")).failure
    assert failure.message == "RuntimeError: bad luck"


def test_one_that_dies_is_tried_once_more_and_then_fails_the_trial(gang):
    gang.run(job(gang))
    before = pids(gang)
    failure = gang.run(job(gang, "second dies")).failure
    assert failure.kind == "crash"
    assert failure.message.startswith("the process of cpu:1 (2 of 2) died with exit code -9")
    assert all(gone(pid) for pid in before)
    Path(os.environ["SEVERAL_FLAG"]).unlink()
    assert gang.run(job(gang, "second dies once")).state == "complete"


def test_edits_are_refused_with_the_way_out(gang):
    with pytest.raises(SpecError, match=r"cannot change its structure while it trains[\s\S]*run\.gpus: 1"):
        gang.run(job(gang, "edits"))
    gang.close()


def test_a_pruner_stops_all_of_them(tmp_path):
    gang = made(tmp_path, stoppers=["at_two"])
    try:
        trial = gang.run(job(gang))
        assert (trial.state, trial.reason, len(trial.measurements)) == ("pruned", "two are enough", 2)
        assert not any(member.busy for member in gang._members)
    finally:
        gang.close()


def test_a_training_goes_on_where_another_trial_ended(tmp_path):
    halving = {"successive_halving": {"inner": "random", "eta": 2, "min_epochs": 1, "max_epochs": 2}}
    gang = made(tmp_path, strategy=halving)
    try:
        space = gang._worker.assembly.space
        proposal = Proposal(space.architecture((4, "none")), budget=Budget(1, 2))
        first = gang.run(Job(Trial(0, proposal, seed=3)))
        assert "checkpoint" in first.artifacts
        promoted = Proposal(proposal.architecture, budget=Budget(2, 2), inherits=Inherit(0))
        second = gang.run(Job(Trial(1, promoted, seed=3), history=(first,), parent=first))
        assert [item.step for item in second.measurements] == [2], second.failure
        assert second.metrics["val_loss"] < first.metrics["val_loss"]
    finally:
        gang.close()


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_two_gpus(tmp_path):
    gang = made(tmp_path, device="cuda:0,1")
    try:
        trial = gang.run(job(gang))
        assert (trial.state, trial.metrics["seen"]) == ("complete", 32), trial.failure
        assert "on cuda:1" in gang.run(job(gang, "second raises")).failure.message
    finally:
        gang.close()


def test_the_other_distribution_of_lightning(tmp_path):
    pytest.importorskip("lightning")
    gang = made(tmp_path, {"points": {"other": True}})
    try:
        trial = gang.run(job(gang))
        assert (trial.state, trial.metrics["seen"]) == ("complete", 32), trial.failure
    finally:
        gang.close()


@pytest.mark.parametrize(
    ("task", "error", "words"),
    [
        ({"points": {"stream": True}}, SpecError, "a Stream, which cannot be divided among 2 devices"),
        ({"points": {"batch": 64}}, None, "an epoch has 1 batch, and the trial 2 devices"),
    ],
)
def test_data_that_cannot_be_divided(tmp_path, task, error, words):
    gang = made(tmp_path, task)
    try:
        if error is None:
            assert words in gang.run(job(gang)).failure.message
        else:
            with pytest.raises(error, match=words):
                gang.run(job(gang))
    finally:
        gang.close()


def test_only_trials_with_several_devices_have_a_gang(tmp_path):
    assert isinstance(made(tmp_path), Gang)
    assert isinstance(made(tmp_path, device="cpu"), Worker)
    own = {"class_path": "nasplug.testing.SyntheticEvaluator"}
    assert isinstance(made(tmp_path, evaluator=own), Worker)


def test_gpus_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    launch = launched(tmp_path, run={"device": "cuda", "gpus": 2})
    with pytest.raises(SpecError, match="a trial asks for 2 GPUs, and this machine has none"):
        InlineExecutor().start(launch)


@pytest.mark.faults
def test_a_killed_worker_and_a_killed_run_leave_no_process(tmp_path, monkeypatch):
    flag = tmp_path / "pids"
    monkeypatch.setenv("SEVERAL_FLAG", str(flag))
    launch = launched(tmp_path, run={"device": "cpu:0,1", "executor": "process"})
    executor = ProcessExecutor()
    executor.start(launch)
    try:
        space = launch.assembly.space
        executor.submit(Job(Trial(0, Proposal(space.architecture((4, "sleep"))), seed=3)))
        waiting = threading.Thread(target=executor.finished, daemon=True)
        waiting.start()
        first = trainers(flag, 2)
        os.kill(executor._engine._slots[0].process.pid, signal.SIGKILL)
        assert all(gone(pid) for pid in first)
        again = trainers(flag, 4)[2:]  # a job that loses its worker is tried once more
    finally:
        executor.close(kill=True)
    assert all(gone(pid) for pid in again)


def trainers(flag, count):
    """Processes that have begun to train."""
    for _ in range(1200):
        if flag.exists() and len(pids := [int(line) for line in flag.read_text().split()]) >= count:
            return pids
        time.sleep(0.1)
    raise AssertionError("the processes did not start")
