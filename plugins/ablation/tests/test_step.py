"""The step that a module is planned by: one that calls its parts, or the reasons of all that do not."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch
from nasplug_ablation.network.step import find_step
from torch import nn

from nasplug.contract.errors import TaskError

BATCH = (torch.randn(2, 3), torch.tensor([0, 1]))


class Broken(pl.LightningModule):
    """Its only step fails; the validation step is the empty one of Lightning."""

    def __init__(self):
        super().__init__()
        self.net = nn.Linear(4, 2)

    def training_step(self, batch, _):
        return self.net(batch[0]).sum()


class Validates(Broken):
    def __init__(self):
        super().__init__()
        self.good = nn.Linear(3, 2)

    def validation_step(self, batch, _):
        return self.good(batch[0]).sum()


def test_an_empty_step_of_lightning_does_not_count():
    with pytest.raises(
        TaskError, match=r"(?s)training_step: RuntimeError.*validation_step: calls no part of the module"
    ):
        find_step(Broken, BATCH, "task")


def test_the_next_step_is_taken_where_the_first_fails():
    assert find_step(Validates, BATCH, "task") == "validation_step"
