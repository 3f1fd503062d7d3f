from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

import nasplug as nas
from nasplug.builtin.fraction import Fraction
from nasplug.contract.errors import SpecError, TrialError
from nasplug.contract.records import Architecture, Proposal, Trial
from nasplug.evaluate.trialrun import TrialRun
from nasplug.ledger.ledger import Ledger
from nasplug.ledger.view import Setting
from nasplug.plugins.manager import Manager
from nasplug.run.base import Base
from nasplug.testing import WrapperConformance
from tests.evaluate.conftest import project, train  # noqa: F401


class TestFraction(WrapperConformance):
    def make_wrapper(self):
        return Fraction(0.5)

    def make_task(self):
        return Task()


class Data(pl.LightningDataModule):
    def train_dataloader(self):
        return DataLoader(TensorDataset(torch.arange(40), torch.arange(40) % 4), 5, shuffle=True)

    def val_dataloader(self):
        return DataLoader(TensorDataset(torch.arange(8)), 4)


class Task:
    input_shape, outputs, objectives = (1,), 2, {"val_loss": "min"}

    def __init__(self, data=Data):
        self.data = data

    def datamodule(self):
        return self.data()


def data_of(plugin, task=None, *, seed=0, trial=0):
    setting = Setting(task=Task() if task is None else task, seed=seed)
    manager = Manager([("space", Base()), ("fraction", plugin)])
    proposal = Proposal(Architecture("none", (), "none"))
    return TrialRun(Trial(trial, proposal, seed=trial), Ledger(setting).view, manager=manager).data()


def positions(data) -> list[int]:
    return sorted(int(i) for batch in data.train_dataloader() for i in batch[0])


def test_a_part_of_the_training_data_with_equal_shares():
    data = data_of(Fraction(0.5))
    found = positions(data)
    assert len(set(found)) == len(found) == 20
    assert [sum(i % 4 == k for i in found) for k in range(4)] == [5, 5, 5, 5]
    assert len(data.train_dataloader()) == 4
    assert sum(len(batch[0]) for batch in data.val_dataloader()) == 8
    assert positions(data) == found  # an epoch later


def test_all_trials_of_a_run_share_it_unless_told_otherwise():
    assert positions(data_of(Fraction(0.3), trial=1)) == positions(data_of(Fraction(0.3), trial=2))
    assert positions(data_of(Fraction(0.3), seed=1)) != positions(data_of(Fraction(0.3), seed=2))
    own = Fraction(0.3, per_trial=True)
    assert positions(data_of(own, trial=1)) != positions(data_of(own, trial=2))
    assert positions(data_of(own, trial=1)) == positions(data_of(own, trial=1))


def test_a_shared_data_module_is_not_cut_twice():
    shared, plugin = Data(), Fraction(0.5)
    task = Task(lambda: shared)
    data_of(plugin, task)
    assert len(positions(data_of(plugin, task))) == 20


def test_refuses():
    for fraction in (0.0, -1.0, 1.5, float("nan")):
        with pytest.raises(SpecError, match="must be in"):
            Fraction(fraction)
    with pytest.raises(TrialError, match="a dict has no train_dataloader"):
        data_of(Fraction(0.5), Task(dict))


def test_a_search_trains_on_less(train):  # noqa: F811
    seen = {}
    for fraction in (1.0, 0.25):
        counter = Counts()
        study = train(
            build=[Fraction(fraction), nas.component("fraction", fraction=1.0)],
            callbacks=[counter],
            executor="inline",
            rehearse=False,
        )
        assert study.trials[0].state == "complete", study.trials[0].failure
        seen[fraction] = Counts.batches
        Counts.batches = 0
    assert seen == {1.0: 2 * 8, 0.25: 2 * 2}  # 256 images in batches of 32, two epochs


class Counts(pl.Callback):
    batches = 0

    def on_train_batch_end(self, *_):
        type(self).batches += 1


def test_digits_are_cut_as_well():
    task = nas.ImageClassification(batch_size=32)
    data = data_of(Fraction(0.25), task)
    data.setup("fit")
    labels = torch.cat([batch[1] for batch in data.train_dataloader()])
    whole = torch.cat([batch[1] for batch in task.datamodule().train_dataloader()])
    assert abs(len(labels) - len(whole) / 4) <= 5
    assert (labels.bincount() / len(labels) - whole.bincount() / len(whole)).abs().max() < 0.02


def test_retraining_uses_everything(tmp_path, monkeypatch):
    from nasplug.data import fraction
    from nasplug.export.retrain import retrain
    from nasplug.plugins.discovery import discover

    cuts, real = [], fraction.cut
    monkeypatch.setattr(fraction, "cut", lambda *given: cuts.append(1) or real(*given))
    plain = {
        "task": {"image_classification": {"limit": 200}},
        "space": {"qnas.conv": {"nodes": 1, "width": 0.1}},
        "strategy": "random",
        "build": [{"fraction": {"fraction": 0.5}}],
        "budget": {"trials": 1, "epochs": 1},
        "run": {"executor": "inline"},
    }
    pytest.importorskip("nasplug_qnas")
    spec = nas.RunSpec.parse(plain)
    study = nas.run_spec(spec)
    assert study.best.number == 0
    assert cuts
    cuts.clear()
    found = retrain(spec, study.best, discover().catalog, tmp_path, epochs=1)
    assert found.trial.state == "complete"
    assert not cuts
