"""`Study.export` writes what the command writes, for searches that only Python can make."""

from __future__ import annotations

import json

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import nasplug as nas
from nasplug.cli import main
from nasplug.contract.errors import UnknownNameError


class Widths(nas.ChoiceSpace):
    def __init__(self) -> None:
        super().__init__("widths", [nas.Choice("width", (2, 4))])

    def build(self, architecture, task):
        return nn.Sequential(
            nn.Flatten(), nn.Linear(16, architecture.genotype[0]), nn.Linear(architecture.genotype[0], 3)
        )


class Module(pl.LightningModule):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def training_step(self, batch, _):
        return nn.functional.cross_entropy(self.network(batch[0]), batch[1])

    def validation_step(self, batch, _):
        self.log("val_acc", (self.network(batch[0]).argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def batches():
    generator = torch.Generator().manual_seed(0)
    data = TensorDataset(torch.rand(24, 1, 4, 4, generator=generator), torch.arange(24) % 3)
    return DataLoader(data, batch_size=8)


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    return tmp_path_factory.mktemp("study") / "s.sqlite"


@pytest.fixture(scope="module")
def study(storage):
    task = nas.LightningTask(module=Module, data=(batches(), batches()), input_shape=(1, 4, 4), outputs=3)
    return nas.search(
        task, space=Widths(), objectives={"val_acc": "max"}, trials=2, epochs=1, storage=storage, progress=False, seed=1
    )


def test_the_best_leaves_as_a_bundle(study, tmp_path):
    written = study.export(tmp_path / "a" / "b")
    assert set(written) == {"weights", "architecture"}
    assert json.loads(written["architecture"].read_text())["trial"]["number"] == study.best.number


def test_any_trial_in_several_formats(study, tmp_path):
    other = next(trial for trial in study.trials if trial.number != study.best.number)
    written = study.export(tmp_path, other, ["bundle", "model_card", "bundle"])
    assert "weights" in written
    assert len(written) > 2
    assert all(path.is_file() for path in written.values())
    assert json.loads(written["architecture"].read_text())["trial"]["number"] == other.number


def test_an_unknown_format_is_refused_before_anything_is_written(study, tmp_path):
    with pytest.raises(UnknownNameError, match="onx"):
        study.export(tmp_path / "new", formats=["bundle", "onx"])
    assert not (tmp_path / "new").exists()


def test_the_commands_say_where_such_a_network_is_exported(study, storage, capsys):
    assert main(["recommend", str(storage), "--trust"]) == 0
    said = capsys.readouterr().out
    assert f'study.export("best", study.trial({study.best.number}))' in said
    assert "--repeats" not in said
    assert main(["export", str(storage), "--trust"]) == 2
    assert "`export`" in capsys.readouterr().err
