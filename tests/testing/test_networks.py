"""The fingerprint of a network sees everything that a plugin which only looks must not change."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from nasplug.testing.networks import assert_trains, fingerprint  # noqa: E402

CHANGES = {
    "a value": lambda n: n[0].weight.data.add_(1e-3),
    "a shape": lambda n: setattr(n[0], "weight", nn.Parameter(n[0].weight.detach().reshape(2, 3))),
    "a type": lambda n: setattr(n[0], "bias", nn.Parameter(torch.zeros(3, dtype=torch.int32), False)),
    "what is trained": lambda n: n[0].weight.requires_grad_(False),
    "a gradient": lambda n: n(torch.ones(1, 2)).sum().backward(),
    "a mode": lambda n: n.eval(),
    "a hook": lambda n: n[0].register_forward_hook(lambda *_: None),
    "a buffer": lambda n: n[1].running_mean.add_(1.0),
}


def network():
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    made[1].eval()
    nn.init.zeros_(made[0].bias)
    return made


def test_equal_networks_have_one_fingerprint():
    assert fingerprint(network()) == fingerprint(network())


@pytest.mark.parametrize("what", CHANGES)
def test_every_change_is_seen(what):
    changed = network()
    before = fingerprint(changed)
    CHANGES[what](changed)
    assert fingerprint(changed) != before


NETWORKS = {
    "map": (nn.Conv2d(2, 3, 1), (2, 4, 5)),
    "volume": (nn.Conv3d(2, 3, 1), (2, 4, 5, 6)),
    "vector": (nn.Sequential(nn.Flatten(), nn.Linear(40, 3)), (2, 4, 5)),
}


@pytest.mark.parametrize("output", NETWORKS)
def test_networks_have_the_shape_of_their_kind_of_output(output):
    network, shape = NETWORKS[output]
    assert_trains(network, shape, 3, output)
    with pytest.raises(AssertionError, match="for 4 outputs"):
        assert_trains(network, shape, 4, output)
    other = "vector" if output != "vector" else "map"
    with pytest.raises(AssertionError, match="for 3 outputs"):
        assert_trains(network, shape, 3, other)
