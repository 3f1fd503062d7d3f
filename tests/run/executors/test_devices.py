"""Which GPUs a worker gets, on machines with devices that are not there."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from nasplug.contract.errors import SpecError
from nasplug.evaluate.trainer import device_options
from nasplug.evaluate.trialrun import TrialRun
from nasplug.plugins.discovery import discover
from nasplug.run.assemble import compose
from nasplug.run.executors.devices import Grant, grant, usable
from nasplug.run.executors.launch import Launch
from nasplug.run.executors.process import ProcessExecutor


def devices(workers, device="cuda", gpus=None, found=2):
    return [grant(worker, workers, device, gpus, found).device for worker in range(workers)]


def shares(workers, gpus=None, found=2):
    return [grant(worker, workers, "cuda", gpus, found).share for worker in range(workers)]


def test_workers_share_evenly_unless_told_otherwise():
    assert devices(2) == ["cuda:0", "cuda:1"]
    assert devices(5) == ["cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0"]
    assert devices(3, "auto", found=1) == ["cuda:0"] * 3


def test_a_part_of_a_gpu():
    assert devices(4, gpus=0.5) == ["cuda:0", "cuda:0", "cuda:1", "cuda:1"]
    assert devices(2, gpus=1.0) == ["cuda:0", "cuda:1"]
    assert devices(2, gpus=0.6) == ["cuda:0", "cuda:1"]  # two of them do not fit on one
    assert devices(6, gpus=1 / 3) == ["cuda:0"] * 3 + ["cuda:1"] * 3
    assert devices(2, gpus=0) == ["cpu", "cpu"]


def test_several_gpus_for_each():
    assert devices(2, gpus=2, found=4) == ["cuda:0,1", "cuda:2,3"]
    assert devices(1, gpus=3, found=4) == ["cuda:0,1,2"]


def test_memory_goes_with_the_part():
    assert shares(8, found=4) == [0.5] * 8
    assert shares(5) == [1 / 3, 1 / 2, 1 / 3, 1 / 2, 1 / 3]
    assert shares(2) == shares(2, gpus=1) == [1.0, 1.0]
    assert shares(4, gpus=0.5) == [0.5] * 4
    assert shares(2, gpus=0.6) == [1.0, 1.0]  # nobody else is on it
    assert shares(2, gpus=2, found=4) == [1.0, 1.0]


@pytest.mark.parametrize(("workers", "gpus", "found"), [(8, None, 3), (6, 1 / 3, 2), (7, 0.25, 2), (5, None, 1)])
def test_nobody_promises_more_memory_than_there_is(workers, gpus, found):
    given = [grant(worker, workers, "cuda", gpus, found) for worker in range(workers)]
    for device in {one.device for one in given}:
        assert sum(one.share for one in given if one.device == device) <= 1 + 1e-9


def test_a_named_gpu_or_none_at_all_is_left_as_it_is():
    assert devices(2, "cuda:1") == ["cuda:1", "cuda:1"]
    assert devices(2, "cpu", gpus=0.5) == ["cpu", "cpu"]
    assert devices(2, "auto", found=0) == ["auto", "auto"]
    assert devices(2, "auto", gpus=0.5, found=0) == ["auto", "auto"]
    assert devices(2, "cuda", found=0) == ["cuda", "cuda"]  # the evaluator says that there is none


@pytest.mark.parametrize(
    ("workers", "gpus", "found", "words"),
    [
        (3, 1.0, 2, "at most 2 workers"),
        (2, 2.0, 2, "at most 1 worker"),
        (1, 4.0, 2, "at most 2 GPUs"),
        (1, 1.5, 2, "whole GPUs or a part"),
        (9, 0.5, 4, "at most 8 workers"),
        (1, 1.0, 0, "this machine has none"),
        (1, 0.5, 0, "asks for 0.5 GPUs"),
    ],
)
def test_more_than_there_is_is_refused(workers, gpus, found, words):
    with pytest.raises(SpecError, match="GPU") as caught:
        devices(workers, gpus=gpus, found=found)
    assert words in str(caught.value)


def test_the_executor_may_use_some_of_them():
    assert usable(4, None) == 4
    assert usable(4, 2) == 2
    with pytest.raises(SpecError, match="4 GPUs are to be given out, and this machine has 2"):
        usable(2, 4)
    with pytest.raises(SpecError, match="has none"):
        usable(0, 4)
    with pytest.raises(SpecError, match="positive"):
        ProcessExecutor(gpus=0)


def test_several_trials_keep_to_their_part_of_the_memory(monkeypatch):
    told = []
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda *words: told.append(words))
    Grant("cuda:3", 0.25).enforce()
    Grant("cuda:1").enforce()
    Grant("cpu").enforce()
    assert told == [(0.25, 3)]


@pytest.fixture
def box(working, tmp_path, monkeypatch):
    """A worker of a machine with four GPUs that are not there: what it would train on, and with how much memory."""
    told = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda *words: told.append(words))

    def worker(index, gpus=None, each=None, **run):
        spec = working(run={"executor": "process", "device": "cuda", "gpus": each, **run})
        launch = Launch(compose(spec, discover(spec.plugins).catalog), tmp_path, lambda key, message: None)
        made = replace(launch.bootstrap(), gpus=gpus).worker(index)
        return made.device, told[-1:]

    return worker


def test_eight_workers_on_four_gpus(box):
    assert box(5, gpus=4, workers=8) == ("cuda:1", [(0.5, 1)])
    assert box(3, gpus=2, workers=8) == ("cuda:1", [(0.25, 1)])


def test_two_gpus_for_each_of_two_workers(box):
    assert box(1, workers=2, each=2)[0] == "cuda:2,3"


def test_a_box_with_fewer_says_so(box):
    with pytest.raises(SpecError, match="8 GPUs are to be given out, and this machine has 4"):
        box(0, gpus=8, workers=8)


@pytest.mark.parametrize(
    ("device", "names"),
    [("cuda:0,1", ("cuda:0", "cuda:1")), ("cuda:3", ("cuda:3",)), ("cpu", ("cpu",)), ("auto", ("auto",))],
)
def test_hooks_see_the_devices_by_name(device, names):
    run = TrialRun.__new__(TrialRun)
    run.device = device
    assert run.devices == names


@pytest.mark.parametrize("device", ["cuda:0,1", "cpu:0,1"])
def test_a_training_in_one_process_refuses_several(device):
    with pytest.raises(SpecError, match=rf"on one device, and it was given '{device}'[\s\S]*at most 1"):
        device_options(device)


def test_a_training_in_several_processes_takes_them(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert device_options("cuda:2,3", several=True) == {"accelerator": "gpu", "devices": [2, 3]}
    assert device_options("cpu:0,1", several=True) == {"accelerator": "cpu", "devices": 2}
    with pytest.raises(SpecError, match="'cuda:3,4' is not available"):
        device_options("cuda:3,4", several=True)
