"""The loop that times a loaded file, in the process that runs it."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from nasplug.cost.deployed.run_onnxruntime import example
from nasplug.cost.deployed.timing import measured, resident


def test_every_inference_is_timed_after_the_warmup(capsys):
    calls = []
    measured(lambda: lambda: calls.append(1), repeats=7, warmup=3)
    assert len(calls) == 10
    assert len(json.loads(capsys.readouterr().out)["latency_s"]) == 7


def test_slow_networks_are_timed_three_times(capsys):
    measured(lambda: lambda: None, repeats=50, warmup=0, max_seconds=0)
    assert len(json.loads(capsys.readouterr().out)["latency_s"]) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read off /proc")
def test_memory_that_the_network_takes_is_seen(capsys):
    measured(lambda: np.ones(20_000_000).sum, repeats=3, warmup=1)
    assert json.loads(capsys.readouterr().out)["peak_memory_bytes"] >= 160_000_000
    assert resident("VmHWM") >= resident("VmRSS")
    assert resident("VmNothing") is None


def test_inputs_are_made_for_every_type():
    image = example("tensor(float)", ["batch", 3, 4, 4], 2)
    assert image.shape == (2, 3, 4, 4)
    assert image.dtype == np.float32
    assert image.std() > 0.5
    words = example("tensor(int64)", ["batch", "length"], 2)
    assert words.shape == (2, 1)
    assert words.dtype == np.int64
