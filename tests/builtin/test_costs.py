from __future__ import annotations

import pytest
from torch import nn

import nasplug as nas
from nasplug.builtin.counts import Macs, Params
from nasplug.builtin.target import TargetCost
from nasplug.contract.errors import SpecError
from nasplug.cost.candidate import Candidate
from nasplug.run.assemble import find_target


def candidate(input_shape=(3, 8, 8)) -> Candidate:
    return Candidate(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 10)), input_shape)


def test_params_and_macs_by_hand():
    network = candidate()
    assert Params().cost(network) == {"params": 3 * 4 * 9 + 4 + 1440 + 10}
    assert Macs().cost(network) == {"macs": 3 * 4 * 9 * 36 + 1440}


def test_parameters_are_counted_without_a_forward_pass():
    class Refuses(nn.Linear):
        def forward(self, x):
            raise AssertionError("nobody asked for this")

    assert Params().cost(Candidate(lambda: Refuses(4, 2), None)) == {"params": 10}


def test_products_need_inputs():
    with pytest.raises(SpecError, match="inputs of the network are not known"):
        Macs().cost(candidate(()))


TEXT = nas.TensorSpec((16,), "int64", high=50)


def test_integers_and_several_inputs_are_priced(catalog):
    network = nn.Sequential(nn.Embedding(50, 8), nn.Flatten(), nn.Linear(128, 3))
    text = Candidate(lambda: network, [TEXT])
    assert Params().cost(text) == {"params": 400 + 387}
    assert Macs().cost(text) == {"macs": 384}
    two = Candidate(lambda: nn.Bilinear(4, 5, 3), [(4,), (5,)])
    assert Macs().cost(two) == {"macs": 4 * 5 * 3 + 5 * 3}
    named = Candidate(lambda: nn.Bilinear(4, 5, 3), {"input2": (5,), "input1": (4,)})
    assert Macs().cost(named) == Macs().cost(two)
    target = find_target("cpu:repeats=3", catalog)
    for each in (text, two, named):
        assert target.estimate(each)["latency_s"] > 0


@pytest.fixture
def catalog():
    from nasplug.plugins.discovery import discover

    return discover().catalog


def test_the_target_cost_asks_the_target(catalog):
    target = find_target("cpu:repeats=3", catalog)
    values = TargetCost().cost(candidate(), target)
    assert set(values) == {"cpu/latency_s", "cpu/latency_p90_s"}
    assert 0 < values["cpu/latency_s"] <= values["cpu/latency_p90_s"] < 1
    with pytest.raises(SpecError, match="target: NAME"):
        TargetCost().cost(candidate(), None)


def test_options_in_the_name_of_a_target(catalog):
    target = find_target("cpu:batch_size=8,threads=2", catalog)
    assert isinstance(target, nas.HardwareTarget)
    assert target.name == "cpu:batch_size=8,threads=2"
    assert target.capabilities["batch_size"] == 8
    assert target.capabilities["threads"] == 2
    assert target.capabilities["repeats"] == 50


@pytest.mark.parametrize(
    ("name", "says"),
    [("cpu:batch=8", "did you mean 'batch_size'"), ("cpu:repeats=0", "positive"), ("cpu:repeats=x", "positive")],
)
def test_bad_options_of_a_target(catalog, name, says):
    with pytest.raises(SpecError, match=says):
        find_target(name, catalog)


def test_a_missing_gpu_is_refused_when_composed(catalog, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    assert find_target("cuda", catalog).name == "cuda"
    with pytest.raises(SpecError, match="torch sees 1 CUDA"):
        find_target("cuda:index=1", catalog)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(SpecError, match="not on this machine"):
        find_target("cuda", catalog)


@pytest.mark.gpu
def test_latency_on_a_gpu(catalog):
    values = TargetCost().cost(candidate(), find_target("cuda:batch_size=4", catalog))
    assert 0 < values["cuda/latency_s"] < 1
