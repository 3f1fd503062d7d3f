"""Costs and data wrappers in a user's own Trainer, with inputs of every kind."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

import nasplug as nas
from nasplug.builtin.fraction import Fraction
from nasplug.contract.errors import SpecError
from nasplug.cost.counts import count


@pytest.fixture
def project(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "support"))
    return importlib.import_module("flow_project")


def trainer(*callbacks) -> pl.Trainer:
    return pl.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
    )


@pytest.mark.parametrize("kind", ["tags", "masked", "pair", "pixels"])
def test_costs_follow_the_networks_own_call(kind, project):
    task = project.task(kind)
    network = project.SPACES[kind]().network(4, task)
    expected = count(network, task.inputs)
    used = trainer(nas.Plugins("params", "macs", target="cpu:repeats=3"))
    used.fit(task.module(network), datamodule=task.datamodule())
    assert used.callback_metrics["params"] == expected.params
    assert used.callback_metrics["macs"] == expected.macs
    assert used.callback_metrics["cpu/latency_s"] > 0


def test_labels_first_in_a_batch_are_not_taken_for_the_input(project):
    class LabelsFirst(project.Lit):
        def training_step(self, batch, index):
            return super().training_step(batch[::-1], index)

    task = project.task("pixels")
    module = LabelsFirst(project._UNet(1, 2, 2))
    data = task.datamodule()
    data.tensors = data.tensors[::-1]
    data.val_dataloader = lambda: []
    used = trainer(nas.Plugins("macs"))
    used.fit(module, datamodule=data)
    assert used.callback_metrics["macs"] == count(module.network, (1, 8, 8)).macs


def test_without_a_describable_call_parameters_are_logged_and_the_rest_is_said(project):
    class Nested(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(64, 2)

        def forward(self, images):
            return self.layer(images[0].flatten(1))

    class Lists(project.Lit):
        def _loss(self, batch):
            return torch.nn.functional.cross_entropy(self.network([batch[0]]), batch[1])

    used = trainer(nas.Plugins("params", "macs"))
    with pytest.warns(UserWarning, match=r"not logged: the network is called with a list.*Plugins\(inputs="):
        used.fit(Lists(Nested()), datamodule=project.Batches("classes"))
    assert used.callback_metrics["params"] == 130
    assert "macs" not in used.callback_metrics


def test_inputs_can_be_stated(project):
    task = project.task("masked")
    network = project.SPACES["masked"]().network(2, task)
    used = trainer(nas.Plugins("macs", inputs=task.inputs))
    used.fit(task.module(network), datamodule=task.datamodule())
    assert used.callback_metrics["macs"] == count(network, task.inputs).macs


class Steps(pl.Callback):
    def __init__(self):
        self.batches = 0

    def on_train_batch_end(self, *_):
        self.batches += 1


def test_data_are_wrapped_for_one_fit_and_given_back(project):
    data, task = project.Batches("classes"), project.task("classes")
    before = dict(vars(data))
    for plugins, batches in (
        (nas.Plugins(Fraction(1 / 3)), 1),
        (nas.Plugins("params"), 3),
        (nas.Plugins(nas.component("fraction", fraction=2 / 3)), 2),
    ):
        steps = Steps()
        network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
        trainer(plugins, steps).fit(task.module(network), datamodule=data)
        assert steps.batches == batches
        assert "train_dataloader" not in vars(data)
    assert set(vars(data)) >= set(before)


class Replaces:
    @nas.hookimpl(wrapper=True)
    def configure_data(self, run):
        import copy

        return copy.copy((yield))


def test_what_a_running_trainer_cannot_do_is_refused(project):
    task = project.task("classes")
    module = task.module(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2)))
    data = project.Batches("classes")
    with pytest.raises(SpecError, match=r"replaces the data module[\s\S]*Do: "):
        trainer(nas.Plugins(Replaces())).fit(module, datamodule=data)
    with pytest.raises(SpecError, match=r"no data module[\s\S]*datamodule="):
        trainer(nas.Plugins(Fraction(0.5))).fit(module, data.train_dataloader(), data.val_dataloader())
