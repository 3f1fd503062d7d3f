from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from nasplug.contract.errors import SpecError, TaskError
from nasplug.cost.latency import measure_latency


class Clock:
    """Stands in for the module `time`: a machine on which nothing takes time but what says so."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("nasplug.cost.latency.time", clock)
    return clock


class Sleeps(nn.Module):
    """Takes a known time, call by call, and notes how it was called."""

    def __init__(self, *seconds: float, clock: Clock | None = None):
        super().__init__()
        self.seconds = seconds
        self.clock = clock
        self.norm = nn.BatchNorm1d(4)
        self.calls = []

    def forward(self, x):
        if self.clock is not None:
            self.clock.now += self.seconds[len(self.calls) % len(self.seconds)]
        self.calls.append((tuple(x.shape), self.norm.training, torch.is_grad_enabled(), torch.get_num_threads()))
        return self.norm(x)


def test_measures_what_it_should(clock):
    network = Sleeps(5.0, 5.0, *np.linspace(0.004, 0.012, 9), clock=clock)  # the first two are the warm-up
    threads = torch.get_num_threads()
    found = measure_latency(network, (4,), batch_size=2, warmup=2, repeats=9, threads=2)
    assert (found.p10_s, found.median_s, found.p90_s) == pytest.approx((0.0048, 0.008, 0.0112))
    assert (found.repeats, found.batch_size, found.device, found.threads) == (9, 2, "cpu", 2)
    assert network.calls == [((2, 4), False, False, 2)] * 11
    assert network.training
    assert network.norm.training
    assert network.norm.num_batches_tracked == 0
    assert torch.get_num_threads() == threads


def test_a_slow_network_is_timed_three_times_at_least(clock):
    assert measure_latency(Sleeps(0.01, clock=clock), (4,), warmup=1, repeats=50, max_seconds=0.0).repeats == 3


def test_modes_come_back_even_after_an_error():
    network = Sleeps()
    network.norm.eval()
    threads = torch.get_num_threads()
    with pytest.raises(TaskError, match=r"shape \(5,\), float32 \(batch size 1\)"):
        measure_latency(network, (5,), threads=2)
    assert (network.training, network.norm.training) == (True, False)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"repeats": 0}, "repeats is 0"),
        ({"warmup": 0}, "warmup is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"threads": 0}, "threads is 0"),
        ({"device": "toaster"}, "no device 'toaster'"),
        ({"device": "meta"}, "cannot be measured on 'meta'"),
        ({"device": "cuda:99"}, "'cuda:99' is not available"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(SpecError, match=message):
        measure_latency(nn.Linear(4, 4), (4,), **arguments)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_cuda():
    with pytest.raises(SpecError, match=r"'cuda' is not available[\s\S]*measure on cpu"):
        measure_latency(nn.Linear(4, 4), (4,), device="cuda")


@pytest.mark.gpu
def test_on_cuda():
    network = nn.Linear(256, 256)
    found = measure_latency(network, (256,), device="cuda", repeats=10)
    assert 0 < found.p10_s <= found.median_s
    assert network.weight.device.type == "cpu"
