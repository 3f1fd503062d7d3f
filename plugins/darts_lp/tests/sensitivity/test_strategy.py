"""Tests of `nasplug_darts_lp.sensitivity.strategy` in whole searches, also of a user's own LightningModule."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.example import small_task
from nasplug_darts_lp.sensitivity.strategy import Sensitivity

import nasplug as nas
from nasplug.evaluate.weights import read_tensors
from nasplug.run.api import run_spec

MODEL = """
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Lit(pl.LightningModule):
    def __init__(self, width=6):
        super().__init__()
        self.example_input_array = torch.zeros(1, 1, 8, 8)
        self.body = nn.Sequential(
            nn.Conv2d(1, width, 3), nn.ReLU(), nn.Conv2d(width, width, 3), nn.ReLU(), nn.Conv2d(width, width, 3),
            nn.ReLU(), nn.Flatten(), nn.Linear(4 * width, 10),
        )

    def training_step(self, batch, _):
        loss = nn.functional.cross_entropy(self.body(batch[0]), batch[1])
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, _):
        self.log("val_acc", (self.body(batch[0]).argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 1e-2)


class Data(pl.LightningDataModule):
    def train_dataloader(self):
        generator = torch.Generator().manual_seed(0)
        x = torch.rand(64, 1, 8, 8, generator=generator)
        return DataLoader(TensorDataset(x, (9.99 * x.mean((1, 2, 3))).long()), 16, shuffle=True)

    val_dataloader = train_dataloader
"""
YAML = """
space: {darts_lp.bits: {model: "own_bits:Lit", weights: random}}
task:
  lightning:
    module: own_bits.Lit
    data: {class_path: own_bits.Data}
    network_attribute: body
    outputs: 10
strategy: {darts_lp.sensitivity: {keep: {npu/energy_j: 0.6}, batches: 2}}
target: npu:wu32
objectives: {val_acc: max, npu/energy_j: min}
budget: {trials: 4, epochs: 1}
run: {seed: 0}
"""


def search(strategy, **more):
    model = "nasplug_darts_lp.example:small_network"
    space = nas.component("darts_lp.bits", model=model, weights="random", inputs=[1, 8, 8])
    settings = {"trials": 6, "epochs": 1, "seed": 0, "progress": False, **more}
    return nas.search(small_task(), space=space, strategy=strategy, **settings)


@pytest.mark.parametrize("measure", ["loss", "hessian"])
def test_the_best_assignment_and_the_uniform_one_keep_to_the_budget(measure):
    study = search(nas.component("darts_lp.sensitivity", keep={"bit_operations": 0.5}, measure=measure, batches=2))

    assert [trial.proposal.info["role"] for trial in study.trials] == ["assigned", "uniform"]
    assert [trial.state for trial in study.trials] == ["complete"] * 2
    limit = study.trials[0].proposal.info["limit"]
    assert study.trials[0].proposal.info["cost"] <= limit * (1 + 1e-9)


def test_a_number_in_place_of_a_share():
    study = search(nas.component("darts_lp.sensitivity", at_most={"average_bits": 5.0}, epochs=0, batches=2))

    assert study.trials[0].proposal.info["limit"] == 5.0
    assert study.trials[0].proposal.info["cost"] <= 5.0


def test_networks_start_from_the_weights_that_were_measured():
    study = search(Sensitivity(keep={"average_bits": 0.9}, epochs=2, batches=2), epochs=0)

    kept = study.work_folder(study.trials[0].proposal.info["weights"]) / "weights.safetensors"
    trained, network = read_tensors(kept), study.network(study.trials[0])
    assert torch.equal(network.state_dict()["first.0.weight"], trained["first.0.weight"])


def test_a_specification_with_an_own_module_and_the_energy_of_hardware(tmp_path, monkeypatch):
    pytest.importorskip("nasplug_npu")
    (tmp_path / "own_bits.py").write_text(MODEL)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bits.yaml").write_text(YAML)

    study = run_spec(nas.read_spec(tmp_path / "bits.yaml"))

    assert [trial.proposal.info["role"] for trial in study.trials] == ["assigned", "uniform"]
    assert study.trials[0].values["npu/energy_j"] <= study.trials[0].proposal.info["limit"] * (1 + 1e-9)


def test_a_budget_that_no_network_keeps_to_is_refused():
    with pytest.raises(nas.errors.SpecError, match=r"the fewest bits cost 9296, 11\.9%"):
        search(Sensitivity(keep={"bit_operations": 0.001}, epochs=0, batches=1))


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"keep": {"average_bits": 0.5, "bit_operations": 0.5}},
        {"keep": {"average_bits": 0.5}, "at_most": {"average_bits": 4}},
        {"keep": {"average_bits": 1.5}},
        {"at_most": {"average_bits": 0}},
        {"at_most": {"average_bits": 4}, "measure": "guess"},
        {"at_most": {"average_bits": 4}, "derive": 0},
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments):
    with pytest.raises(nas.errors.SpecError):
        Sensitivity(**arguments)
