from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pytorch_lightning import LightningDataModule, LightningModule
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import nasplug as nas
from nasplug.contract.errors import SpecError
from nasplug.evaluate.folds import CrossValidation


class Data(LightningDataModule):
    def __init__(self, fold):
        super().__init__()
        x = torch.linspace(-1, 1, 24).view(-1, 1)
        self.held = torch.arange(24) % 3 == fold
        self.x, self.y = x, 2 * x + fold  # every fold has an optimum of its own

    def train_dataloader(self):
        return DataLoader(TensorDataset(self.x[~self.held], self.y[~self.held]), 8, shuffle=True)

    def val_dataloader(self):
        return DataLoader(TensorDataset(self.x[self.held], self.y[self.held]), 8)


class Module(LightningModule):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def training_step(self, batch):
        return nn.functional.mse_loss(self.network(batch[0]), batch[1])

    def validation_step(self, batch):
        self.log("val_loss", nn.functional.mse_loss(self.network(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


class Folded:
    input_shape = (1,)
    outputs = 1
    objectives = {"val_loss": "min"}  # noqa: RUF012

    def __init__(self, folds=3, index=0):
        self.folds, self.index = folds, index
        self.seen = []

    def fold(self, index):
        self.seen.append(index)
        return Folded(self.folds, index)

    def datamodule(self):
        return Data(self.index)

    def module(self, network, hyperparameters):
        return Module(network)

    def check_hyperparameters(self, names):
        pass


class Plain(Folded):
    fold = None


class Lines(nas.ChoiceSpace):
    def __init__(self):
        super().__init__("lines", [nas.Choice("width", (1, 2, 3))])

    def build(self, architecture, task):
        return nn.Sequential(nn.Linear(1, architecture.genotype[0]), nn.Linear(architecture.genotype[0], 1))


def search(evaluator, task=None, **more):
    given = {"trials": 2, "epochs": 3, "seed": 0, **more}
    return nas.search(space=Lines(), task=task or Folded(), evaluator=evaluator, **given)


def test_every_fold_is_a_stage_and_the_result_their_mean(tmp_path):
    study = search(CrossValidation(), storage=str(tmp_path / "s.sqlite"))
    trial = study.best
    assert list(trial.stages) == ["fold-0", "fold-1", "fold-2"]
    values = [stage["val_loss"] for stage in trial.stages.values()]
    assert len(set(values)) == 3
    assert trial.metrics["val_loss"] == pytest.approx(statistics.mean(values))
    assert trial.metrics["val_loss_std"] == pytest.approx(statistics.stdev(values))
    assert [m.stage for m in trial.measurements] == ["fold-0"] * 3 + ["fold-1"] * 3 + ["fold-2"] * 3
    assert {"weights", "weights-fold-0", "weights-fold-2"} <= set(trial.artifacts)
    assert trial.artifacts["weights"] == trial.artifacts["weights-fold-0"]
    study.network(trial)  # the weights of the first fold fit


def test_folds_have_seeds_of_their_own_and_runs_repeat(outcome):
    first, second = search(CrossValidation()), search(CrossValidation())
    assert outcome(first) == outcome(second)


def test_chosen_folds():
    task = Folded()
    study = search(CrossValidation(folds=[2]), task, trials=1)
    assert list(study.best.stages) == ["fold-2"]
    assert task.seen == [2]
    assert "val_loss_std" not in study.best.metrics


def _killed(storage):
    """Trains two folds, and dies at the beginning of the third."""
    real = Folded.fold

    def fold(self, index):
        if index == 2:
            os._exit(9)
        return real(self, index)

    Folded.fold = fold
    search(CrossValidation(), trials=1, storage=storage)


def test_finished_folds_are_not_trained_again(tmp_path):
    whole = search(CrossValidation(), trials=1, storage=str(tmp_path / "whole.sqlite"))
    storage = str(tmp_path / "cut.sqlite")
    # A process of its own: what was forked beside threads of autograd cannot train.
    code = f"from {_killed.__module__} import _killed; _killed({storage!r})"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=300)
    assert done.returncode == 9, done.stderr
    files = sorted(tmp_path.rglob("cut*/**/stage-fold-*/weights.safetensors"))
    assert len(files) == 2
    before = [path.stat().st_mtime_ns for path in files]
    resumed = search(CrossValidation(), trials=1, storage=storage)
    assert [path.stat().st_mtime_ns for path in files] == before
    assert dict(resumed.best.metrics) == dict(whole.best.metrics)
    assert resumed.best.stages == whole.best.stages
    assert resumed.best.measurements == whole.best.measurements


class Never:
    @nas.hookimpl
    def should_prune(self, run, measurement):
        return "enough" if measurement.stage == "fold-1" and measurement.step == 2 else None


def test_a_pruned_fold_prunes_the_trial():
    study = search(CrossValidation(), trials=1, stoppers=[Never()])
    (trial,) = study.trials
    assert (trial.state, trial.reason) == ("pruned", "enough")
    assert list(trial.stages) == ["fold-0"]


def test_what_cannot_be_cross_validated():
    with pytest.raises(SpecError, match=r"3 folds, and .3. were asked for"):
        search(CrossValidation(folds=[3]))
    with pytest.raises(SpecError, match="1 fold"):
        search(CrossValidation(), Folded(1))
    with pytest.raises(SpecError, match="has no folds"):
        search(CrossValidation(), Plain())
    for folds in ([], [-1], [0, 0]):
        with pytest.raises(SpecError, match="different numbers"):
            CrossValidation(folds=folds)
