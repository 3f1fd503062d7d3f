"""Costs and densities while a network trains."""

from __future__ import annotations

import pytest

pytest.importorskip("pytorch_lightning")

import torch
from nasplug_npu import NPU
from nasplug_npu.callback import NPULogger
from pytorch_lightning import LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nasplug.contract.errors import SpecError
from nasplug.workloads.extract import extract


class Module(LightningModule):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def training_step(self, batch, _):
        return nn.functional.cross_entropy(self.network(batch[0]), batch[1])

    def validation_step(self, batch, _):
        self.log("val_loss", nn.functional.cross_entropy(self.network(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.0)


def network():
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()
    found = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
    with torch.no_grad():
        found[2].weight[:4] = 0
    return found


def fit(callback, net):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(16, 1, 8, 8, generator=generator)
    data = DataLoader(TensorDataset(images, torch.arange(16) % 2), batch_size=8)
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    trainer = Trainer(max_epochs=1, callbacks=[callback], enable_model_summary=False, **options)
    trainer.fit(Module(net), data, data)
    return {key: float(value) for key, value in trainer.callback_metrics.items()}, images


def test_costs_and_densities_are_logged():
    net = network()
    found, images = fit(NPULogger("wu32", keys=["latency_s", "flash_bytes"]), net)
    weights = [net[0].weight, net[2].weight, net[6].weight]
    kept = sum(int(weight.count_nonzero()) for weight in weights) / sum(weight.numel() for weight in weights)
    assert found["npu/weight_density"] == pytest.approx(kept)
    with torch.no_grad():
        seen = [images[:8], net[:2](images[:8]), net[:6](images[:8])]
    assert found["npu/input_density"] == pytest.approx(
        sum(int(x.count_nonzero()) for x in seen) / sum(x.numel() for x in seen)
    )
    costs = NPU("wu32").totals(extract(net, (1, 8, 8)))
    assert found["npu/flash_bytes"] == costs["flash_bytes"]
    assert found["npu/latency_s"] == pytest.approx(costs["latency_s"])


def test_units_that_skip_activations_see_their_zeros():
    net = network()
    skipping, _ = fit(NPULogger("wu32,sparsity=act_skip,encoding=dense", keys=["compute_cycles"]), net)
    dense, _ = fit(NPULogger("wu32_dense", keys=["compute_cycles"]), net)
    assert skipping["npu/compute_cycles"] < dense["npu/compute_cycles"]


def test_the_network_is_left_alone():
    net = network()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    fit(NPULogger(), net)
    assert not any(layer._forward_pre_hooks for layer in net.modules())
    assert not hasattr(net[0], "input_density")
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_what_the_unit_cannot_do_does_not_end_the_training():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 2), nn.Softmax(-1))
    with pytest.warns(UserWarning, match="no longer logged"):
        found, _ = fit(NPULogger("wu32", unsupported="error"), net)
    assert "npu/weight_density" in found
    assert "npu/latency_s" not in found


def test_mistakes_are_named():
    with pytest.raises(SpecError, match="attribute="):
        fit(NPULogger(attribute="net"), network())
    with pytest.raises(SpecError, match="did you mean 'latency_s'"):
        fit(NPULogger(keys=["latency"]), network())


def test_a_network_that_cannot_be_priced_is_said_once_in_a_training(monkeypatch):
    import nasplug_npu.callback as module

    from nasplug.contract.errors import DataError

    def fails(network, inputs):
        raise DataError("cannot be read")

    monkeypatch.setattr(module, "extract", fails)
    callback = NPULogger("wu32", keys=["latency_s"])
    said = []
    monkeypatch.setattr(module, "rank_zero_warn", said.append)
    for _ in range(3):
        found, _ = fit(callback, network())
        assert "npu/latency_s" not in found
        assert "npu/weight_density" in found
    assert len(said) == 1
    assert "no longer logged" in said[0]
