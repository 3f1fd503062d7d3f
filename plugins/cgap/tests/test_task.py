"""The first stages of a task as a task."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from nasplug_cgap.sequence.task import StageTask

import nasplug as nas
from nasplug.contract.errors import SpecError

from .conftest import Nets, blobs


def labels(loader):
    return sorted(set(torch.cat([y for _, y in loader]).tolist()))


def test_samples_of_later_classes_are_left_out():
    task = StageTask(blobs(), "2+1+1", stages=2, order=None)
    data = task.datamodule()
    for name in ("train_dataloader", "val_dataloader", "test_dataloader"):
        assert labels(getattr(data, name)()) == [0, 1, 2]
    assert task.outputs == 4
    assert task.class_names == ("0", "1", "2", "3")
    assert task.remark({}) is None
    assert pickle.loads(pickle.dumps(copy.copy(task))).classes == (0, 1, 2)
    assert not hasattr(task, "of_nobody")


def test_networks_train_on_them():
    study = nas.search(
        {"cgap.stages": {"task": {"image_classification": {"limit": 300}}, "schedule": "8+2"}},
        space=Nets(),
        trials=1,
        epochs=1,
    )
    assert study.best.state == "complete"


def test_mistakes():
    with pytest.raises(SpecError, match="3 stages, and 4"):
        StageTask(blobs(), "2+1+1", stages=4)
    with pytest.raises(SpecError, match="the task has 4"):
        StageTask(blobs(), "2+1").datamodule()
