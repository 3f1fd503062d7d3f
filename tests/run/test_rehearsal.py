"""Mistakes that would meet every trial are found before the first one, and nothing else is changed."""

from __future__ import annotations

import random
import time
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import nasplug as nas
from nasplug.contract.errors import NasplugError, SpecError, StudyError, TaskError

SEEN: list[str] = []


class Data(pl.LightningDataModule):
    def __init__(self, labels: int = 3, extra: bool = False):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.x = torch.rand(96, 1, 8, 8, generator=generator)
        self.y = torch.randint(0, labels, (96,), generator=generator)
        self.extra = extra

    def train_dataloader(self):
        return DataLoader(TensorDataset(self.x[:64], self.y[:64]), 16, shuffle=True)

    def val_dataloader(self):
        loader = DataLoader(TensorDataset(self.x[64:], self.y[64:]), 8)
        return [loader, loader] if self.extra else loader


class OnlyTraining(Data):
    val_dataloader = pl.LightningDataModule.val_dataloader


class GivesADataset(Data):
    def train_dataloader(self):
        return TensorDataset(self.x[:64], self.y[:64])


class Lit(pl.LightningModule):
    metric = "val_acc"

    def __init__(self, network, lr=0.05):
        super().__init__()
        self.network, self.lr = network, lr

    def training_step(self, batch, _):
        SEEN.append("train")
        loss = nn.functional.cross_entropy(self.network(batch[0]), batch[1])
        self.log("train/loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, _, dataloader_idx=0):
        logits = self.network(batch[0])
        self.log(self.metric, (logits.argmax(1) == batch[1]).float().mean())
        self.log("val/loss", nn.functional.cross_entropy(logits, batch[1]))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), self.lr)


class Typo(Lit):
    metric = "val_accuracy"


class Silent(Lit):
    def validation_step(self, batch, _, dataloader_idx=0):
        self.network(batch[0])


class UsesLogger(Lit):
    def on_validation_epoch_end(self):
        self.logger.experiment.add_scalar("a", 1.0)


class Regression(Lit):
    """The shapes of batch and loss do not go together."""

    def training_step(self, batch, _):
        return nn.functional.binary_cross_entropy_with_logits(self.network(batch[0]), batch[1].float())


class OneLoader(Lit):
    def validation_step(self, batch, _):
        super().validation_step(batch, _)


class NoOptimiser(Lit):
    def configure_optimizers(self):
        return torch.optim.Adam([], self.lr)


class FollowsATypo(Lit):
    def configure_optimizers(self):
        optimizer = super().configure_optimizers()
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "monitor": "val/los"}}


class LogsAVector(Lit):
    def validation_step(self, batch, _, dataloader_idx=0):
        self.log("val_acc", torch.arange(1000.0))


class NotFinite(Lit):
    def training_step(self, batch, _):
        return super().training_step(batch, _) * torch.tensor(float("nan"))


class NeedsTwoClasses(Lit):
    """As scikit-learn's roc_auc_score, which raises an error if a batch holds one class only."""

    def on_validation_epoch_start(self):
        self.count = 0

    def validation_step(self, batch, _, dataloader_idx=0):
        super().validation_step(batch, _)
        self.count += len(batch[0])

    def on_validation_epoch_end(self):
        if self.count < 32:
            raise ValueError("Only one class present in y_true.")


class Space(nas.ChoiceSpace):
    def __init__(self, trouble=("none",)):
        super().__init__("space", [nas.Choice("width", (2, 3, 4, 5, 6, 7)), nas.Choice("trouble", trouble)])

    def build(self, architecture, task):
        width, trouble = architecture.genotype
        return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.Linear(width + (trouble == "shape"), task.outputs))


class Gloomy:
    """A cost that no network can have."""

    name = "gloomy"

    @nas.hookimpl
    def cost(self, candidate, target):
        raise ZeroDivisionError("no hardware")


def search(module=Lit, data=None, space=None, **more) -> nas.Study:
    task = nas.LightningTask(module, data or Data(), (1, 8, 8), 3)
    return nas.search(task, **{"space": space or Space(), "trials": 6, "epochs": 2, "progress": False, **more})


MISTAKES = [
    ({"module": Silent}, r"does not log 'val_acc'[\s\S]*it logs train/loss\n[\s\S]*self\.log\('val_acc'"),
    ({"module": Typo}, r"does not log 'val_acc'[\s\S]*logs [^\n]*val_accuracy[\s\S]*did you mean 'val_accuracy'"),
    ({"objectives": {"val/los": "min"}}, r"'val/los', which is an objective[\s\S]*did you mean 'val/loss'"),
    ({"constraints": ["val_lss <= 3"]}, r"'val_lss', which is a constraint[\s\S]*did you mean 'val/loss'"),
    (
        {"data": Data(extra=True)},
        r"2 validation loaders[\s\S]*'val_acc/dataloader_idx_0'[\s\S]*add_dataloader_idx=False",
    ),
    ({"module": OneLoader, "data": Data(extra=True)}, r"dataloader_idx"),
    ({"data": OnlyTraining()}, r"no validation data: give them a val_dataloader[^\n]*it logs train/loss"),
    ({"data": GivesADataset()}, r"train_dataloader gives a TensorDataset[\s\S]*DataLoader\(dataset"),
    (
        {"module": UsesLogger},
        r"experiment[\s\S]*line \d+ of test_rehearsal.py: self.logger.experiment[\s\S]*loggers: \[csv\]",
    ),
    ({"module": Regression}, r"each of 5 networks[\s\S]*line \d+ of test_rehearsal.py[\s\S]*rehearse"),
    ({"data": Data(labels=9)}, r"Target \d+ is out of bounds[\s\S]*each of 5 networks"),
    ({"module": NoOptimiser}, r"empty parameter list"),
    ({"module": FollowsATypo}, r"schedule follows 'val/los'[\s\S]*did you mean 'val/loss'"),
    ({"module": LogsAVector}, r"ValueError: `self.log[\s\S]{300,500}\.\.\.\n[\s\S]*line \d+ of"),
    ({"module": NotFinite}, r"training loss was not finite[\s\S]*each of 5 networks"),
    ({"costs": [Gloomy()]}, r"hook cost: ZeroDivisionError: no hardware[\s\S]*each of 5 networks"),
    ({"space": Space(("shape",))}, r"shapes cannot be multiplied[\s\S]*each of 5 networks"),
    (
        {"evaluator": nas.component("lightning", trainer={"check_val_every_n_epoch": 3})},
        r"every 3 epochs, and a trial has 2[\s\S]*raise budget.epochs",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES)
def test_a_mistake_is_found_before_the_first_trial(tmp_path, arguments, message):
    path = tmp_path / "study.sqlite"
    with pytest.raises(NasplugError, match=message) as caught:
        search(**arguments, storage=path)
    assert caught.value.exit_code == 2
    assert list(nas.load_study(path).trials) == []
    assert [item.name for item in tmp_path.iterdir() if not item.name.startswith("study.sqlite")] == []
    assert not list(tmp_path.rglob("trial-*"))
    mended = search(storage=path)
    assert [trial.state for trial in mended.trials] == ["complete"] * 6


def test_it_can_be_switched_off():
    study = search(Silent, rehearse=False, give_up_after=0)
    assert [trial.failure.kind for trial in study.trials] == ["metric"] * 6


def test_a_run_gives_up_after_failures_that_are_alike():
    with pytest.raises(
        StudyError, match=r"each of 3 trials[\s\S]*'val_acc' was not reported[\s\S]*retry-failed metric"
    ):
        search(Silent, rehearse=False, give_up_after=3)


def test_one_candidate_that_fails_is_a_failed_trial():
    study = search(space=Space(("none", "shape")), trials=8)
    assert {trial.state for trial in study.trials} == {"complete", "failed"}


def test_a_metric_that_one_batch_does_not_have():
    assert search(NeedsTwoClasses).trials[0].state == "complete"


def plain(study: nas.Study) -> list:
    return [(t.architecture.key, t.seed, dict(t.metrics), dict(t.costs)) for t in study.trials]


def test_it_changes_no_trial(tmp_path):
    generator = torch.Generator().manual_seed(7)
    data = Data()
    data.generator = generator
    studies = []
    for rehearse in (True, False):
        loader = DataLoader(
            data.train_dataloader().dataset, 16, shuffle=True, generator=torch.Generator().manual_seed(7)
        )
        studies.append(
            search(
                data=(loader, data.val_dataloader()),
                rehearse=rehearse,
                strategy="regularized_evolution",
                costs=["params"],
                trials=8,
            )
        )
    assert plain(studies[0]) == plain(studies[1])


def test_it_leaves_the_random_generators_of_the_caller():
    from nasplug.run.seeding import undisturbed

    def state():
        return random.random(), np.random.random(), float(torch.rand(()))  # noqa: NPY002

    torch.manual_seed(0), np.random.seed(0), random.seed(0)  # noqa: NPY002
    expected = state()
    torch.manual_seed(0), np.random.seed(0), random.seed(0)  # noqa: NPY002
    with undisturbed():
        state()
    assert state() == expected


def test_it_trains_one_batch_and_no_more():
    SEEN.clear()
    search(trials=1, epochs=1)
    assert len(SEEN) == 1 + 4


def test_a_resumed_run_that_has_results_does_not_rehearse(tmp_path):
    path = tmp_path / "study.sqlite"
    search(storage=path, trials=1)
    SEEN.clear()
    search(storage=path, trials=2)
    assert len(SEEN) == 8


def test_loggers_and_checkpoints_leave_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    class Kept(pl.callbacks.ModelCheckpoint):
        pass

    with pytest.raises(TaskError, match="does not log"):
        search(
            Silent,
            callbacks=[Kept(dirpath=tmp_path / "mine")],
            evaluator=nas.component("lightning", trainer={"logger": True}),
        )
    assert list(tmp_path.iterdir()) == []


def test_checkpoints_of_the_module_itself_leave_nothing(tmp_path):
    class Keeps(Silent):
        def configure_callbacks(self):
            return [pl.callbacks.ModelCheckpoint(dirpath=tmp_path / "mine")]

    with pytest.raises(TaskError, match="does not log"):
        search(Keeps)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("objectives", ["val_acc", ["val_acc"], 3])
def test_objectives_without_a_direction_are_refused(objectives):
    with pytest.raises(SpecError, match=r"write \{val_acc: max"):
        search(objectives=objectives)
    with pytest.raises(TaskError, match=r'write \{"val_acc": "max"\}'):
        nas.LightningTask(Lit, Data(), (1, 8, 8), 3, objectives)


def test_objectives_are_told_once():
    study = search(objectives={"val/loss": "min", "train/loss": "min"}, trials=2)
    assert study.trials[0].metrics["val/loss"] > 0
    with pytest.raises(SpecError, match="known"):  # a hardware target is no metric
        search(objectives={"cpu/latency_s": "min"})


def test_a_rehearsal_takes_a_moment():
    started = time.process_time()  # the machine may have other things to do
    with pytest.raises(TaskError):
        search(Typo)
    assert time.process_time() - started < 3


def test_a_tight_constraint_does_not_hide_a_mistake():
    with pytest.raises(TaskError, match="does not log"):
        search(Typo, constraints=["params <= 1"])
    study = search(constraints=["params <= 1"], trials=2)
    assert [trial.state for trial in study.trials] == ["pruned", "pruned"]


def test_in_worker_processes(monkeypatch):
    import importlib

    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "support"))
    project = importlib.import_module("user_project")
    task = nas.LightningTask(project.LitDigits, project.DigitsData(), (1, 8, 8), 10)
    with pytest.raises(TaskError, match=r"does not log 'val_f2'[\s\S]*did you mean 'val_f1'"):
        nas.search(task, space=project.Widths(), objectives={"val_f2": "max"}, workers=2, trials=4, progress=False)
