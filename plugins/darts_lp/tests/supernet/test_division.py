"""Tests of `nasplug_darts_lp.supernet.division`."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from nasplug_darts_lp.supernet.division import divided
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import nasplug as nas
from nasplug.contract.errors import TaskError
from nasplug.data import Loading

TASK = nas.ImageClassification(limit=60, batch_size=16)


def seen(loader):
    """How often each image comes in an epoch."""
    return Counter(tuple(image.flatten().tolist()) for images, _ in loader for image in images)


def test_weights_and_logits_see_different_images_in_every_epoch():
    loader = TASK.datamodule().train_dataloader()
    first, second = divided(loader, 0.4, seed=1)
    weights, logits, everything = seen(first), seen(second), seen(loader)
    for _ in range(3):  # an epoch may leave out a batch of a single image
        weights |= seen(first)
        logits |= seen(second)
        everything |= seen(loader)
    assert not weights.keys() & logits.keys()
    assert weights.keys() | logits.keys() == everything.keys()
    assert len(logits) == round(0.4 * len(everything))
    again = divided(loader, 0.4, seed=1)[1]
    assert seen(again).keys() <= logits.keys()


def test_neither_sees_validation_or_test_images():
    module = TASK.datamodule()
    parts = [seen(loader) for loader in divided(module.train_dataloader(), 0.5, 0)]
    held = seen(module.val_dataloader()) | seen(module.test_dataloader())
    assert not (parts[0].keys() | parts[1].keys()) & held.keys()


def test_loaders_of_torch_and_with_workers():
    data = TensorDataset(torch.arange(20.0).view(20, 1), torch.zeros(20))
    first, second = divided(DataLoader(data, batch_size=4, shuffle=True), 0.25, 0)
    values = [sorted(v for batch in loader for v in batch[0].flatten().tolist()) for loader in (first, second)]
    assert sorted(values[0] + values[1]) == list(range(20))
    assert len(values[1]) == 5
    loader = nas.ImageClassification(limit=60, loading=Loading(num_workers=1)).datamodule().train_dataloader()
    assert [part.num_workers for part in divided(loader, 0.5, 0)] == [1, 1]


class Endless(IterableDataset):
    def __iter__(self):
        return iter(())


def test_what_cannot_be_divided():
    with pytest.raises(TaskError, match="optimisation: joint"):
        divided(DataLoader(Endless()), 0.5, 0)
    with pytest.raises(TaskError, match="optimisation: joint"):
        divided([1, 2, 3], 0.5, 0)
    with pytest.raises(TaskError, match="1 of 20"):
        divided(DataLoader(TensorDataset(torch.arange(20))), 0.05, 0)
