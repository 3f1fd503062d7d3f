"""Loaders of any shape with something done to every batch."""

from __future__ import annotations

import pytest
import torch
from nasplug_ablation.data.loaders import with_batches
from pytorch_lightning.utilities import CombinedLoader
from torch.utils.data import DataLoader, TensorDataset


def loader(value=1.0):
    return DataLoader(TensorDataset(torch.full((4,), value)), 2)


def sums(given):
    if isinstance(given, dict):
        return {name: sums(one) for name, one in given.items()}
    if isinstance(given, (list, tuple)):
        return [sums(one) for one in given]
    if isinstance(given, CombinedLoader):
        return [sums(one) for one in given.flattened]
    return sum(batch[0].sum().item() for batch in given)


class Wrapped:
    """Some iterable with attributes of its own, one of which has the name of Lightning's."""

    def __init__(self):
        self.iterables = "mine"

    def __iter__(self):
        return iter([[torch.ones(2)]])

    def __len__(self):
        return 1


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (loader(), 8.0),
        ([loader(), loader(2.0)], [8.0, 16.0]),
        ({"a": loader(), "b": [loader(2.0)]}, {"a": 8.0, "b": [16.0]}),
        (CombinedLoader([loader(), loader(2.0)], "sequential"), [8.0, 16.0]),
        (Wrapped(), 4.0),
    ],
    ids=["one", "list", "mapping", "combined", "own"],
)
def test_every_batch_is_changed_and_what_was_given_is_not(given, expected):
    before = sums(given)
    changed = with_batches(given, lambda batch: [2 * batch[0]])
    assert sums(changed) == expected
    assert sums(given) == before
