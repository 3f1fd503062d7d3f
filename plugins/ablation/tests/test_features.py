"""Features of any data: where they stand, how they leave, and that the data stay as they are."""

from __future__ import annotations

from collections import namedtuple

import pytest
import torch
from nasplug_ablation.data.augmentations import names_in, without
from nasplug_ablation.data.features import Features, Finder, Place, changed
from nasplug_ablation.data.loaders import Without, with_batches, with_samples
from torch.utils.data import DataLoader, TensorDataset

from nasplug.contract.errors import SpecError
from plugins.ablation.tests.conftest import Noisy

Pair = namedtuple("Pair", "x y")


def generator():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(
    ("batch", "wanted", "features", "place"),
    [
        ((torch.ones(4, 3), torch.ones(4)), "b", Features(["a", "b", "c"]), Place((0,), 1, (1,))),
        ((torch.ones(4, 3, 8, 8), torch.ones(4)), 2, Features(), Place((0,), 1, (2,))),
        ((torch.ones(4, 9, 2), torch.ones(4)), "late", Features({"late": "-3:"}, axis=1), Place((0,), 1, (6, 7, 8))),
        ((torch.ones(4, 9, 2),), "both", Features({"both": [0, -1]}, axis=-1), Place((0,), -1, (0, 1))),
        (
            {"image": torch.ones(4, 2, 5, 5, 5), "label": torch.ones(4)},
            "t2",
            Features(["t1", "t2"]),
            Place(("image",), 1, (1,)),
        ),
        ({"tokens": torch.ones(4, 7), "extra": torch.ones(4, 2)}, "extra", Features(), Place(("extra",))),
        (({"age": torch.ones(4)}, torch.ones(4)), {"at": [0, "age"]}, Features(), Place((0, "age"))),
        ([torch.ones(4, 2), torch.ones(4)], {"axis": 1, "index": 0}, Features(), Place((0,), 1, (0,))),
    ],
)
def test_features_are_found_in_batches_of_any_kind(batch, wanted, features, place):
    assert Finder(features, batch).find(wanted, "here") == place
    assert Place.of(place.to_plain()) == place


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("c", r"(?s)no feature 'c'.*they have a, b"),
        (5, r"(?s)there is no feature 5.*axis 1 has 3"),
        ({"at": "image"}, "has nothing at"),
        ({"axis": 4, "index": 0}, "has no axis 4"),
        ({"axis": 0, "index": 0}, "has no axis 0"),
        ({"index": "a:b"}, "cannot read the slice"),
        ({"index": True}, "cannot read the position"),
        ({"place": 1}, "a feature has no 'place'"),
    ],
)
def test_features_that_are_not_there_are_refused(wanted, message):
    finder = Finder(Features(["a", "b"]), (torch.ones(4, 3), torch.ones(4)))
    with pytest.raises(SpecError, match=message):
        finder.find(wanted, "here")


def test_fill_drop_and_permute_leave_the_batch_as_it_was():
    x = torch.arange(12.0).view(4, 3)
    batch, place = Pair(x.clone(), torch.ones(4)), Place((0,), 1, (1,))
    filled = changed(batch, place, {"mode": "fill", "fill": 7}, generator())
    assert isinstance(filled, Pair)
    assert filled.x.tolist() == [[0, 7, 2], [3, 7, 5], [6, 7, 8], [9, 7, 11]]
    assert changed(batch, place, {"fill": "mean"}, generator()).x[:, 1].tolist() == [5.5] * 4
    assert changed(batch, place, {"mode": "drop"}, generator()).x.tolist() == [[0, 2], [3, 5], [6, 8], [9, 11]]
    mixed = changed(batch, place, {"mode": "permute"}, generator()).x
    assert mixed[:, [0, 2]].equal(x[:, [0, 2]])
    assert sorted(mixed[:, 1].tolist()) == [1, 4, 7, 10]
    assert not mixed.equal(x)
    assert batch.x.equal(x)


def test_entries_of_mappings_leave_as_wholes():
    batch = {"a": {"b": torch.ones(2, 2), "c": torch.ones(2)}, "y": torch.ones(2)}
    assert changed(batch, Place(("a", "b")), {"mode": "drop"}, generator()).keys() == {"a", "y"}
    assert list(changed(batch, Place(("a", "b")), {"mode": "drop"}, generator())["a"]) == ["c"]
    assert not changed(batch, Place(("a", "b")), {}, generator())["a"]["b"].any()
    assert batch["a"]["b"].all()


def test_two_features_may_be_dropped_together():
    batch = (torch.arange(10.0).view(2, 5),)
    places = [(Place((0,), 1, (1,)), {"mode": "drop"}), (Place((0,), 1, (3,)), {"mode": "drop"})]
    assert Without(places)(batch)[0].tolist() == [[0, 2, 4], [5, 7, 9]]


@pytest.mark.parametrize("workers", [0, 2])
def test_loaders_are_copied_and_shuffle_as_before(workers):
    data = TensorDataset(torch.arange(8.0).view(8, 1), torch.arange(8))
    loader = DataLoader(data, 2, shuffle=True, num_workers=workers)
    changed_loader = with_batches(loader, Without([(Place((0,), 1, (0,)), {})]))
    torch.manual_seed(3)
    order = [batch[1].tolist() for batch in loader]
    torch.manual_seed(3)
    batches = list(changed_loader)
    assert [batch[1].tolist() for batch in batches] == order
    assert not any(batch[0].any() for batch in batches)
    assert len(changed_loader) == len(loader)
    assert any(batch[0].any() for batch in loader)


def test_loaders_of_any_kind_are_wrapped():
    batches = [(torch.ones(2, 2),), (torch.ones(2, 2),)]
    made = with_batches(
        {"a": batches, "b": [DataLoader(TensorDataset(torch.ones(4, 2)), 2)]}, Without([(Place((0,), 1, (0,)), {})])
    )
    assert made.keys() == {"a", "b"}
    assert next(iter(made["b"][0]))[0].tolist() == [[0, 1], [0, 1]]


def test_permutations_follow_the_seed():
    place = [(Place((0,), 1, (0,)), {"mode": "permute"})]
    batch = (torch.arange(32.0).view(32, 1),)
    assert Without(place, 1)(batch)[0].equal(Without(place, 1)(batch)[0])
    assert not Without(place, 1)(batch)[0].equal(Without(place, 2)(batch)[0])


class Double:
    def __call__(self, x):
        return 2 * x


class Plus:
    def __call__(self, x):
        return x + 1


def test_steps_of_transforms_are_found_and_leave_a_copy():
    data = Noisy(Double(), Plus(), Double())
    loader = DataLoader(data, 8)
    assert names_in(loader) == ["Double", "Plus", "Double#2"]
    assert without(data, {"Plus"})[3].tolist() == [12, 12]
    assert without(data, {"Double#2"})[3].tolist() == [7, 7]
    assert data[3].tolist() == [14, 14]
    changed_loader = with_samples(loader, lambda dataset: without(dataset, {"Double"}))
    assert next(iter(changed_loader))[0].tolist() == [2, 2]
    assert next(iter(loader))[0].tolist() == [2, 2]
    assert next(iter(loader))[1].tolist() == [6, 6]
