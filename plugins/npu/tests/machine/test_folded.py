"""Folded networks on the machine: the codes and sums of the folded network, and refusals that name what is missing."""

from __future__ import annotations

import pytest
from nasplug_npu.config import NPUConfig
from nasplug_npu.machine.folded import read_folded
from nasplug_npu.machine.running import compile_chain, run
from nasplug_npu.machine.timing import layer_clocks
from nasplug_npu.machine.units import unit

from nasplug.contract.errors import SpecError

pytest.importorskip("nasplug_darts_lp", reason="needs nasplug-darts-lp")

import torch
from nasplug_darts_lp.folding import fold
from nasplug_darts_lp.layers.quantise import quantise
from torch import nn


def config(precision="full2d", shape="8x4x1", **changes):
    r, c, p = (int(size) for size in shape.split("x"))
    fields = {"name": "machine", "shapes": f"fixed:{shape}", "macs": r * c * p, "precision": precision}
    fields |= {"sparsity": "gate", "ports": "separate", "input_port_bits": 8 * r * p, "weight_port_bits": 1024}
    return NPUConfig(**{**fields, "ppu_per_cycle": min(r, c, 4), **changes})


def network(flatten_late=True):
    tail = [nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12 * 4, 10)] if flatten_late else [nn.Conv2d(12, 5, 2)]
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.BatchNorm2d(16), nn.ReLU6()),
        *(nn.Conv2d(16, 12, 1, groups=2), nn.BatchNorm2d(12), nn.ReLU()),
        *tail,
    )


def folded(made, bits, shape=(1, 8, 8), **settings):
    torch.manual_seed(0)
    quantised = quantise(made, weight_bits=bits, activation_bits=bits, **{"activations": "fixed", **settings})
    for module in quantised.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias, std=0.3)
    optimiser = torch.optim.Adam(quantised.parameters(), lr=0.01)
    for _ in range(2):
        optimiser.zero_grad()
        quantised(torch.randn(6, *shape)).square().mean().backward()
        optimiser.step()
    return fold(quantised.eval(), shape)


def images(count=3, shape=(1, 8, 8)):
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
@pytest.mark.parametrize("precision", ["none", "full2d"])
def test_every_map_has_the_codes_of_the_folded_network(bits, precision):
    found = run(folded(network(), bits), config(precision), images(), None)
    assert found.differing == 0
    # Codes of four convolutions and of a pool, and the sums of the linear layer, for three images.
    assert sum(layer.numbers for layer in found.layers) == 3 * (8 * 64 + 16 * 16 + 16 * 16 + 12 * 16 + 12 * 4 + 10)


@pytest.mark.parametrize("activations", ["double_st", "lsq", "pact"])
def test_thresholds_of_each_channel_and_gaussian_weights(activations):
    made = folded(network(flatten_late=False), 2, activations=activations, weights="gaussian")
    assert run(made, config(), images(), None).differing == 0


def test_eight_bits_where_the_sums_are_short():
    made = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 1), nn.ReLU(), nn.Conv2d(4, 3, 2))
    assert run(folded(made, 8), config("none"), images(), None).differing == 0


def test_narrow_operands_take_fewer_clocks():
    wide, narrow = (run(folded(network(), 2), config(precision), images(1), None) for precision in ("none", "full2d"))
    assert narrow.clocks < wide.clocks
    by_name = {layer.name: layer for layer in narrow.layers}
    assert by_name["_3"].functional < 0.7 * {layer.name: layer for layer in wide.layers}["_3"].functional


def test_prefetched_weights_save_clocks():
    chain = read_folded(folded(network(), 4), narrow=False)
    from nasplug_npu.machine.parameters import parameters

    clocks = [
        sum(
            count
            for _, count in layer_clocks(
                compile_chain(chain, parameters(config("none")), prefetch=early).compiler.program
            )
        )
        for early in (False, True)
    ]
    assert clocks[1] < clocks[0]


def test_a_folded_network_on_the_hardware():
    pytest.importorskip("amaranth", reason="needs nasplug-npu[rtl]")
    from nasplug_npu.machine.parameters import parameters
    from nasplug_npu.machine.simulators import simulator

    small = nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(4 * 4, 3)),
    )
    unit = config("full2d", "2x2x1", act_latency=4, weight_latency=4)
    made = folded(small, 4, shape=(1, 6, 6))
    found = run(made, unit, images(1, (1, 6, 6)), simulator(parameters(unit), "amaranth"))
    assert found.differing == 0
    assert [layer.clocks for layer in found.layers] == [layer.functional for layer in found.layers]


class Values(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.body, self.head = (
            nn.Conv2d(1, 4, 3, padding=1),
            nn.Conv2d(4, 4, 3, padding=1),
            nn.Conv2d(4, 2, 1),
        )

    def forward(self, x):
        x = torch.relu(self.stem(x))
        return self.head(torch.relu(self.body(x) + x))


def test_what_the_machine_cannot_do_is_refused_by_name():
    with pytest.raises(SpecError, match="the machine has no add"):
        read_folded(folded(Values(), 4), narrow=True)
    pooled = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(SpecError, match="the machine has no ExactAvgPool"):
        read_folded(folded(pooled, 4), narrow=True)
    chain = read_folded(folded(pooled, 4), narrow=True, partial=True)
    assert [layer.coded for layer in chain.layers] == [None]
    assert len(chain.left) > 3
    leaky = nn.Sequential(nn.Conv2d(1, 4, 3), nn.SiLU(), nn.Conv2d(4, 2, 1))
    with pytest.raises(SpecError, match="the machine has no SiLU"):
        read_folded(folded(leaky, 4), narrow=True)


def test_the_trunk_of_a_residual_network_runs_up_to_its_first_branch():
    made = folded(Values(), 4)
    found = run(made, config(), images(), None, partial=True)
    assert found.differing == 0
    # Codes that the next layer reads, and the sums of both branches, which the host adds as values.
    assert [layer.name for layer in found.layers] == ["stem", "stem_again", "body"]
    assert [layer.numbers for layer in found.layers] == 3 * [3 * 4 * 64]
    assert found.left


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.second, self.down = nn.Conv2d(8, 16, 3, 2, 1), nn.Conv2d(8, 16, 1, 2)

    def forward(self, x):
        x = torch.relu(self.norm(self.first(x)) + x)
        return torch.relu(self.second(x) + self.down(x))


def residual(pool=None):
    head = [nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), Residual()]
    return nn.Sequential(*head, pool or nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5))


@pytest.mark.parametrize(("name", "bits"), [("dense", 4), ("dense", 1), ("narrow", 2), ("sparse", 4)])
def test_residual_networks_run_whole(name, bits):
    made = folded(residual(), bits, (1, 12, 12), sums="integer")
    found = run(made, unit(name), images(2, (1, 12, 12)), None)
    assert found.differing == 0
    assert not found.left
    assert [layer.name for layer in found.layers if "added" in layer.name] == ["sum_0_added", "sum_1_added"]
    assert found.layers[-1].numbers == 2 * 5


def test_a_map_with_two_readers_is_stored_once():
    chain = read_folded(folded(residual(), 4, (1, 12, 12), sums="integer"), narrow=False)
    names = [layer.name for layer in chain.layers]
    added = names.index("sum_0_added")
    assert sum(added in sources for sources in chain.sources) == 2
    assert len(set(names)) == len(names)


def test_average_pools_with_padding_are_refused_where_zero_is_not_stored_as_zero():
    made = folded(residual(nn.AvgPool2d(3, padding=1)), 4, (1, 12, 12), sums="integer")
    with pytest.raises(SpecError, match="padded codes"):
        read_folded(made, narrow=False)
