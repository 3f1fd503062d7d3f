"""Tests of `nasplug_darts_lp.spaces.sharing`: bits and operations that are trained together."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nasplug_darts_lp.spaces.bits.space import BitsSpace
from nasplug_darts_lp.spaces.cell.space import CellSpace
from nasplug_darts_lp.spaces.layers.space import LayersSpace
from nasplug_darts_lp.spaces.sharing import shared_by_bits

import nasplug as nas
from nasplug.evaluate.supernet.evaluator import SupernetEvaluator
from nasplug.evaluate.supernet.network import SharedNetwork
from nasplug.evaluate.supernet.sharing import covers, fill, memories, places, remember
from nasplug.testing import run_search

SPACES = {
    "layers": lambda: LayersSpace(width=0.25, blocks=1, weight_bits=(2, 8), activation_bits=(1, 4)),
    "cell": lambda: CellSpace(
        channels=2,
        layers=3,
        nodes=1,
        operations=("sep_conv_3x3", "skip_connect"),
        weight_bits=(2, 8),
        activation_bits=(1, 4),
    ),
    "bits": lambda: BitsSpace("nasplug_darts_lp.example:small_network", weights="random", inputs=(1, 8, 8)),
}


@pytest.fixture(autouse=True)
def few_looks(monkeypatch):
    """Looks at few networks for the layers that there are."""
    for name, number in {"SEEN": 24, "MOST": 24, "SETTLED": 0}.items():
        monkeypatch.setattr(f"nasplug.evaluate.supernet.network.{name}", number)


def task():
    return nas.ImageClassification(limit=60, batch_size=16)


@pytest.mark.parametrize("name", SPACES)
def test_a_network_alone_computes_with_its_part_of_the_shared_weights(name):
    space = SPACES[name]()
    network = SharedNetwork(space, task(), np.random.default_rng(0))
    images = torch.rand(16, 1, 8, 8)
    for _ in range(6):
        network.draw()
        network.train()(images)
    rng = np.random.default_rng(1)
    for architecture in [space.sample(rng) for _ in range(6)]:
        network.choose(architecture)
        built = space.build(architecture, task())
        if not all(covers(place, network.state()) for place in places(space, architecture, built).values()):
            continue
        network.train()(images)  # ranges that nothing has set yet are set now
        expected = network(images)
        alone = space.build(architecture, task())
        fill(alone, places(space, architecture, alone), network.state())
        remember(alone, memories(space, architecture, alone), network.state() | network.remembered)
        assert torch.allclose(alone.train()(images), expected, atol=1e-4)


def test_ranges_are_set_once_and_stay_with_their_bits():
    space = LayersSpace(width=0.25, blocks=1, operations=("conv",), kernels=(3,), activations="lsq")
    network = SharedNetwork(space, task(), np.random.default_rng(0))
    first = space.from_vector([0] * len(space.choices))
    network.choose(first)
    network.train()(torch.rand(16, 1, 8, 8))
    (key,) = [key for key in network.remembered if key.startswith("blocks.0.branch.conv.input_quantiser.bits_1.start")]
    (step,) = [key for key in network.keys if key.startswith("blocks.0.branch.conv.input_quantiser.bits_1.step")]
    assert bool(network.remembered[key])
    before = network.state()[step].detach().clone()

    network._ready.clear()  # as when many other networks were in between
    network.choose(first)
    network(100 * torch.rand(16, 1, 8, 8))

    assert network.state()[step].equal(before)


def test_weights_are_shared_by_all_bits_and_quantisers_by_none():
    space = LayersSpace(width=0.25, blocks=1, operations=("conv",), kernels=(3,), weights="lsq")
    keys = []
    for index in (0, 1):
        architecture = space.from_vector([index if "bits" in choice.name else 0 for choice in space.choices])
        found = places(space, architecture, space.build(architecture, task()))
        keys.append({place.key for name, place in found.items() if name.startswith("blocks.0.branch.conv.")})

    assert {key.split(" ")[0] for key in keys[0] & keys[1]} == {"blocks.0.branch.conv.weight"}
    assert any("weight_quantiser.bits_1." in key for key in keys[0])
    assert any("input_quantiser.bits_2." in key for key in keys[1])


def test_a_separable_and_a_dilated_convolution_share_nothing():
    space = CellSpace(channels=2, layers=3, nodes=1, operations=("sep_conv_3x3", "dil_conv_3x3"))
    keys = []
    for index in (0, 1):
        architecture = space.from_vector([index if "_op_" in choice.name else 0 for choice in space.choices])
        found = places(space, architecture, space.build(architecture, task()))
        keys.append({place.key for name, place in found.items() if ".edges." in name})

    assert keys[0]
    assert not keys[0] & keys[1]


def test_networks_of_torch_have_nothing_of_their_own():
    found = shared_by_bits(torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2)))

    assert all(name == place for name, (place, _) in found.items())
    assert set(found) == {"0.weight", "0.bias", "1.weight", "1.bias"}


@pytest.mark.parametrize("name", SPACES)
def test_a_search_scores_all_networks_with_one_training(name):
    evaluator = SupernetEvaluator(1, recalibrate=1)
    study = run_search("random", trials=4, space=SPACES[name](), task=task(), evaluator=evaluator)

    assert [trial.state for trial in study.trials] == ["complete"] * 4
