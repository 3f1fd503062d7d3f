"""Chosen samples behind loaders of the core and of torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nasplug_cgap.sequence.loaders import Indexed
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from nasplug.contract.errors import SpecError
from nasplug.data.fraction import cut

from .conftest import blobs

X, Y = torch.arange(30.0)[:, None], torch.arange(30) % 3


class Unlabelled(Dataset):
    def __len__(self):
        return 30

    def __getitem__(self, index):
        return X[index], int(Y[index])


class Stream(IterableDataset):
    def __iter__(self):
        return iter(zip(X, Y, strict=True))


LOADERS = {
    "ordered": lambda: DataLoader(TensorDataset(X, Y), 4),
    "shuffled": lambda: DataLoader(TensorDataset(X, Y), 4, shuffle=True),
    "labels read one by one": lambda: DataLoader(Unlabelled(), 4, shuffle=True),
    "a subset": lambda: DataLoader(TensorDataset(X, Y), 4, sampler=SubsetRandomSampler(list(range(30)))),
    "whole, cut": lambda: cut(DataLoader(TensorDataset(X, Y), 4, shuffle=True), 1.0, np.random.default_rng),
}


@pytest.mark.parametrize("name", LOADERS)
def test_classes_are_taken(name):
    data = Indexed(LOADERS[name]())
    assert len(data) == 30
    loader = data.take(data.of([0, 2]))
    inputs = torch.cat([x for x, _ in loader])[:, 0].sort().values
    assert inputs.tolist() == [float(i) for i in range(30) if i % 3 != 1]
    assert len(loader) == 5


def test_a_part_of_a_part():
    data = Indexed(cut(DataLoader(TensorDataset(X, Y), 4, shuffle=True), 0.5, np.random.default_rng))
    assert len(data) == 15
    labels = torch.cat([y for _, y in data.take(data.of([1]))])
    assert labels.tolist() == [1] * 5
    again = Indexed(data.take(data.of([1, 2])))
    assert sorted(set(again.labels.tolist())) == [1, 2]


def test_samples_may_be_repeated_and_are_shuffled():
    torch.manual_seed(0)
    data = Indexed(LOADERS["shuffled"]())
    loader = data.take(np.array([4, 4, 7, 9]))
    epochs = {tuple(x for batch, _ in loader for x in batch[:, 0].tolist()) for _ in range(8)}
    assert {tuple(sorted(epoch)) for epoch in epochs} == {(4, 4, 7, 9)}
    assert len(epochs) > 1
    ordered = Indexed(LOADERS["ordered"]()).take(np.array([9, 4, 7]))
    assert [x for batch, _ in ordered for x in batch[:, 0].tolist()] == [9, 4, 7]


def test_batches_of_the_core():
    module = blobs().datamodule()
    data = Indexed(module.train_dataloader())
    assert np.bincount(data.labels).tolist() == [40] * 4
    labels = torch.cat([y for _, y in data.take(data.of([3]))])
    assert labels.tolist() == [3] * 40
    assert data.sample_bytes == 64  # 8 x 8 pixels of a byte


def test_bytes_of_floats():
    assert Indexed(LOADERS["ordered"]()).sample_bytes == 4


@pytest.mark.parametrize(
    ("loader", "why"),
    [
        ([1, 2], "a list"),
        (DataLoader(Stream()), "DataLoader"),
        (DataLoader(TensorDataset(X, Y), 4, sampler=WeightedRandomSampler([1.0] * 30, 30)), "WeightedRandomSampler"),
        (DataLoader(TensorDataset(X), 4), "not a pair"),
        (DataLoader(TensorDataset(X, X[:, 0]), 4), "not a pair"),
    ],
)
def test_what_has_no_classes_is_refused(loader, why):
    with pytest.raises(SpecError, match=why):
        Indexed(loader)


def test_too_few_samples_for_a_full_batch():
    data = Indexed(DataLoader(TensorDataset(X, Y), 8, shuffle=True, drop_last=True))
    with pytest.raises(SpecError, match="do not fill a batch of 8"):
        data.take(np.arange(3))
    with pytest.raises(SpecError, match="no samples"):
        data.take(np.array([], dtype=np.int64))
