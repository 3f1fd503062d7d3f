from __future__ import annotations

import numpy as np
import pytest
import torch
from pytorch_lightning.utilities import CombinedLoader
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from nasplug.contract.errors import TrialError
from nasplug.data.batches import BatchImages, batches
from nasplug.data.batches import BatchSampler as ImageSampler
from nasplug.data.fraction import cut, labels_of

LABELS = torch.arange(40) % 4
DATA = TensorDataset(torch.arange(40), LABELS)


def rng(index: int = 0) -> np.random.Generator:
    return np.random.default_rng(index)


def positions(loader) -> list[int]:
    return [int(i) for batch in loader for i in batch[0]]


class Reversed(Sampler[int]):
    def __iter__(self):
        return iter(range(39, -1, -1))

    def __len__(self):
        return 40


class Pairs(Sampler[list[int]]):
    def __iter__(self):
        return iter([[i, 39 - i] for i in range(20)])


def test_order_batches_and_options_stay():
    whole = DataLoader(
        DATA, 6, num_workers=0, drop_last=True, collate_fn=lambda rows: (torch.tensor([r[0] for r in rows]),)
    )
    part = cut(whole, 0.5, rng)
    found = positions(part)
    assert found == sorted(found)
    assert len(part) == 3
    assert [len(batch[0]) for batch in part] == [6, 6, 6]
    assert part.collate_fn is whole.collate_fn
    assert len(positions(whole)) == 36  # the loader it was made of is as it was


def test_shuffling_goes_on():
    part = cut(DataLoader(DATA, 5, shuffle=True), 0.5, rng)
    torch.manual_seed(0)
    first, second = positions(part), positions(part)
    assert first != second
    assert sorted(first) == sorted(second)
    torch.manual_seed(0)
    assert positions(part) == first


@pytest.mark.parametrize(
    "sampler",
    [
        Reversed(),
        SubsetRandomSampler(range(0, 40, 2)),
        RandomSampler(DATA, replacement=True, num_samples=60),
        WeightedRandomSampler([1.0] * 40, 40, replacement=False),
    ],
    ids=lambda sampler: type(sampler).__name__,
)
def test_every_sampler_yields_kept_positions_only(sampler):
    kept = set(positions(cut(DataLoader(DATA, 4), 0.5, rng)))
    if type(sampler) is WeightedRandomSampler:
        assert len(kept) == 20
    found = positions(cut(DataLoader(DATA, 4, sampler=sampler), 0.5, rng))
    assert found
    assert set(found) <= kept
    if isinstance(sampler, Reversed):
        assert found == sorted(kept, reverse=True)
    if isinstance(sampler, RandomSampler):
        assert len(found) == 30


def test_batch_samplers():
    kept = set(positions(cut(DataLoader(DATA, 4), 0.5, rng)))
    own = cut(DataLoader(DATA, batch_sampler=Pairs()), 0.5, rng)
    assert set(positions(own)) == kept
    torchs = cut(DataLoader(DATA, batch_sampler=BatchSampler(Reversed(), 4, False)), 0.5, rng)
    assert [len(batch[0]) for batch in torchs] == [4] * 5
    by_hand = cut(DataLoader(DATA, sampler=BatchSampler(Reversed(), 4, False), batch_size=None), 0.5, rng)
    assert set(positions(by_hand)) == kept


def test_several_loaders_have_parts_of_their_own():
    loader = DataLoader(DATA, 4)
    first, second = cut([loader, loader], 0.5, rng)
    assert set(positions(first)) != set(positions(second))
    named = cut({"a": loader, "b": [loader]}, 0.5, rng)
    assert len(positions(named["a"])) == len(positions(named["b"][0])) == 20
    combined = cut(CombinedLoader({"a": loader, "b": loader}, "min_size"), 0.5, rng)
    assert len([batch for batch, _, _ in combined]) == 5


@pytest.mark.parametrize("workers", [0, 1])
def test_nasplugs_own_image_batches(workers):
    images = BatchImages(torch.arange(40, dtype=torch.float32).view(40, 1, 1, 1), LABELS, torch.ones(1), torch.zeros(1))
    whole = batches(images, ImageSampler(torch.arange(40), 8, shuffle=False), workers)
    found = [int(x) for batch, _ in cut(whole, 0.5, rng) for x in batch.flatten()]
    assert len(found) == 20
    assert found == sorted(found)
    assert [sum(x % 4 == k for x in found) for k in range(4)] == [5] * 4


class Named(Dataset):
    targets = ["a", "b"] * 10

    def __len__(self):
        return 20

    def __getitem__(self, index):
        raise AssertionError("nobody may read the data")


class Regression(Dataset):
    labels = torch.rand(20)

    def __len__(self):
        return 20

    def __getitem__(self, index):
        return index


def test_labels_are_found_without_reading():
    assert labels_of(Named()).tolist() == ["a", "b"] * 10
    assert labels_of(Subset(DATA, [3, 2, 8])).tolist() == [3, 2, 0]
    assert labels_of(ConcatDataset([Named(), Named()])).tolist() == ["a", "b"] * 20
    assert labels_of(ConcatDataset([Named(), Regression()])) is None
    assert labels_of(Regression()) is None
    assert labels_of(TensorDataset(torch.rand(4, 2))) is None


def test_without_classes_the_number_is_right():
    for fraction, size in ((0.1, 2), (0.01, 1), (1.0, 20), (0.52, 10)):
        assert len([i for batch in cut(DataLoader(Regression(), 3), fraction, rng) for i in batch]) == size


def test_more_classes_than_examples_are_drawn_at_random():
    every = TensorDataset(torch.arange(40), torch.arange(40))
    assert len(positions(cut(DataLoader(every, 4), 0.25, rng))) == 10


def test_what_cannot_be_cut_is_refused():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(range(5))

    with pytest.raises(TrialError, match="a part of a Stream cannot be taken"):
        cut(DataLoader(Stream(), 2), 0.5, rng)
    with pytest.raises(TrialError, match="a part of a int cannot be taken"):
        cut(7, 0.5, rng)
    with pytest.raises(TrialError, match=r"4 of 40 training examples do not fill a batch of 8"):
        cut(DataLoader(DATA, 8, drop_last=True), 0.1, rng)
