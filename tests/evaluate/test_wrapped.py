"""Wrappers of data reach whatever trains: trials, and the work of strategies."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

import nasplug as nas
from nasplug.builtin.fraction import Fraction
from nasplug.contract.errors import PluginError, StudyError
from nasplug.evaluate.trialrun import TrialRun
from nasplug.evaluate.workrun import WorkRun
from nasplug.ledger.ledger import Ledger
from nasplug.ledger.work import Work
from nasplug.plugins.manager import Manager
from nasplug.run.base import Base
from nasplug.testing import SyntheticSpace

WORK = Work("module:function", {"a": 1})


class Images(pl.LightningDataModule):
    """Eighty images of four classes."""

    def train_dataloader(self):
        images = torch.rand(80, 1, 4, 4, generator=torch.Generator().manual_seed(0))
        return DataLoader(TensorDataset(images, torch.arange(80) % 4), batch_size=8, shuffle=True)


class Toy:
    """A task of these images."""

    def datamodule(self):
        return Images()


class Answers:
    def __init__(self, answer):
        self.answer = answer

    @nas.hookimpl(wrapper=True)
    def configure_data(self, run):
        yield
        return self.answer


def _runs(task, *wrappers):
    space = SyntheticSpace()
    ledger = Ledger.of(space, {"score": "max"}, task=task, seed=5)
    manager = Manager([("base", Base()), *[(f"wrapper {i}", each) for i, each in enumerate(wrappers)]])
    trial = ledger.propose(ledger.view.proposal(space.from_vector([0] * 6)))
    return TrialRun(trial, ledger.view, manager=manager), WorkRun(WORK, ledger.view, manager=manager)


def _pixels(data):
    """One number per training image, sorted, so that the order of an epoch does not matter."""
    data.prepare_data()
    data.setup("fit")
    return sorted(float(image.double().mul(weights(image)).sum()) for x, _ in data.train_dataloader() for image in x)


def weights(image):
    return torch.linspace(0.5, 1.5, image.numel(), dtype=torch.float64).reshape(image.shape)


def _count(data):
    return len(_pixels(data))


@pytest.fixture(scope="module")
def task():
    return Toy()


def test_a_fraction_of_the_data_reaches_the_work_of_a_strategy(task):
    whole, (trial, work) = _count(task.datamodule()), _runs(task, Fraction(0.25))
    assert _count(trial.data()) == _count(work.data()) == pytest.approx(whole / 4, abs=10)
    assert _count(WorkRun(WORK, work.study).data()) == whole  # nobody wraps it


def test_a_part_of_its_own_differs_between_works_and_repeats(task):
    _, run = _runs(task, Fraction(0.25, per_trial=True))
    other = WorkRun(Work("module:function", {"a": 2}), run.study, manager=run._manager)

    assert _pixels(run.data()) == _pixels(run.data())
    assert _pixels(run.data()) != _pixels(other.data())


@pytest.mark.parametrize("answer", [None, 3, object()])
def test_a_wrapper_that_answers_something_else_is_named(task, answer):
    for run in _runs(task, Answers(answer)):
        with pytest.raises(PluginError, match="wrapper 0"):
            run.data()


def test_without_a_task_there_is_no_data():
    for run in _runs(None):
        with pytest.raises(StudyError, match="no task"):
            run.data()
