"""Quantised networks and searches on a GPU."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.folding import agreement, fold
from nasplug_darts_lp.layers.quantise import freeze, quantise
from nasplug_darts_lp.quantisers import ACTIVATIONS
from torch import nn
from torch.nn import functional

import nasplug as nas

pytestmark = pytest.mark.gpu


def trained(kind, device, steps=4):
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU()]
    base = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    network = quantise(base, weight_bits=2, activation_bits=2, activations=kind).to(device)
    optimiser = torch.optim.SGD(network.parameters(), 0.05)
    generator = torch.Generator().manual_seed(1)
    losses = []
    for _ in range(steps):
        images = torch.randn(16, 3, 9, 9, generator=generator).to(device)
        loss = functional.cross_entropy(network(images), torch.arange(16, device=device) % 4)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return network, losses


@pytest.mark.parametrize("kind", list(ACTIVATIONS))
def test_a_quantised_network_trains_as_on_the_cpu_and_folds(kind, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    network, losses = trained(kind, "cuda")
    assert losses[0] == pytest.approx(trained(kind, "cpu", 1)[1][0], rel=2e-2)
    frozen = freeze(network).cpu()
    found = agreement(frozen, fold(frozen, (3, 9, 9)), torch.randn(8, 3, 9, 9))
    assert found.differing == found.differing_outputs == 0


@pytest.mark.parametrize("mixing", ["softmax", "gumbel_hard"])
def test_the_supernet_trains_and_its_network_too(mixing):
    study = nas.search(
        nas.component("image_classification", limit=128, batch_size=32),
        space=nas.component(
            "darts_lp.layers", width=0.25, blocks=1, operations=["conv"], kernels=[3], weight_bits=[1, 4]
        ),
        strategy=nas.component("darts_lp.search", rounds=1, epochs=1, mixing={"kind": mixing}, device="cuda"),
        trials=1,
        device="cuda",
        progress=False,
        batch=1,
    )
    assert [trial.state for trial in study.trials] == ["complete"], study.trials[0].error
