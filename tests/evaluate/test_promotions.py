"""A promoted training is the one that was never interrupted, schedules included."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.optim import lr_scheduler as schedules
from torch.utils.data import DataLoader, TensorDataset

import nasplug as nas
from nasplug.builtin.successive_halving import SuccessiveHalving
from nasplug.contract.records import Budget, Inherit, Proposal

X = torch.rand(64, 4, generator=torch.Generator().manual_seed(0))
DATA = (
    DataLoader(TensorDataset(X, (X[:, 0] > 0.5).long()), 16),
    DataLoader(TensorDataset(X, (X[:, 0] > 0.5).long()), 64),
)


class Widths(nas.ChoiceSpace):
    def __init__(self):
        super().__init__("widths", [nas.Choice("width", (2, 3, 4, 5, 6, 7, 8, 9))])

    def build(self, architecture, task):
        (width,) = architecture.genotype
        return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))


class Lit(pl.LightningModule):
    """Logs its learning rate."""

    def __init__(self, network, schedule="onecycle"):
        super().__init__()
        self.network, self.schedule = network, schedule

    def training_step(self, batch, _):
        return nn.functional.cross_entropy(self.network(batch[0]), batch[1])

    def validation_step(self, batch, _):
        self.log("val_loss", self.training_step(batch, _))
        self.log("lr", self.trainer.optimizers[0].param_groups[0]["lr"])

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), 0.1)
        steps = int(self.trainer.estimated_stepping_batches)
        made = {
            "onecycle": lambda: schedules.OneCycleLR(optimizer, 0.1, total_steps=steps),
            "cosine": lambda: schedules.CosineAnnealingLR(optimizer, steps),
            "linear": lambda: schedules.LinearLR(optimizer, 1.0, 0.1, total_iters=steps),
            "lambda": lambda: schedules.LambdaLR(optimizer, lambda step: 1 - step / (steps + 1)),
            "sequential": lambda: schedules.SequentialLR(
                optimizer,
                [schedules.ConstantLR(optimizer, 1.0, 1), schedules.OneCycleLR(optimizer, 0.1, total_steps=steps)],
                [steps // 4],
            ),
        }[self.schedule]()
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": made, "interval": "step"}}


class Continues:
    """One network for two epochs, and on to six, with or without saying so before."""

    keeps_checkpoints = True

    def __init__(self, total):
        self.total = total

    @nas.hookimpl
    def propose(self, study, count):
        if study.pending or study.proposed == 2:
            return []
        parent = study.trials[-1] if study.trials else None
        return [
            Proposal(
                study.space.architecture([5]),
                budget=Budget(6 if parent else 2, self.total),
                inherits=Inherit(parent.number) if parent else None,
                seed=3,
            )
        ]


class Once:
    @nas.hookimpl
    def propose(self, study, count):
        return [] if study.proposed else [Proposal(study.space.architecture([5]), budget=Budget(6), seed=3)]


def search(strategy, schedule, **more):
    task = nas.LightningTask(Lit, DATA, (4,), 2, {"val_loss": "min"}, {"schedule": schedule})
    score = nas.component("lightning", score="last")
    return nas.search(
        task, space=Widths(), strategy=strategy, evaluator=score, progress=False, **{"trials": 2, "epochs": 6, **more}
    )


def curve(*trials):
    return [(m.step, m.metrics["lr"], m.metrics["val_loss"]) for trial in trials for m in trial.measurements]


SCHEDULES = ["onecycle", "cosine", "linear", "lambda", "sequential"]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_promotion_that_was_announced_is_the_uninterrupted_training(schedule):
    halves, whole = search(Continues(6), schedule), search(Once(), schedule)
    assert [trial.state for trial in halves.trials] == ["complete", "complete"], halves.trials[1].failure
    assert [m.step for m in halves.trials[0].measurements] == [1, 2]
    assert curve(*halves.trials) == curve(whole.trials[0])


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_promotion_that_was_not_announced_goes_on_with_the_longer_schedule(schedule):
    study = search(Continues(None), schedule)
    assert [trial.state for trial in study.trials] == ["complete", "complete"], study.trials[1].failure
    assert [m.step for m in study.trials[1].measurements] == [3, 4, 5, 6]


@pytest.mark.parametrize("mode", ["async", "sync"])
@pytest.mark.parametrize("schedule", ["onecycle", "cosine"])
def test_halving_promotes_with_a_schedule_by_step(mode, schedule):
    study = search(SuccessiveHalving(eta=2, mode=mode), schedule, trials=8, epochs=4)
    assert {trial.state for trial in study.trials} == {"complete"}, [t.failure for t in study.trials]
    epochs = {trial.proposal.budget.epochs for trial in study.trials}
    assert epochs == {1, 2, 4} or epochs == {1, 2}
    assert {trial.proposal.budget.total for trial in study.trials} == {4}


def test_a_total_below_the_epochs_is_refused():
    with pytest.raises(nas.errors.SpecError, match="in all of 2"):
        Budget(3, 2)
