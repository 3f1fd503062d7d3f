from __future__ import annotations

import numpy as np
import pytest

from nasplug.data import ImageArrays, prepare
from nasplug.data.prepared import Part, channel_statistics


def positions(prepared):
    return [set(part.index.tolist()) for part in (prepared.train, prepared.val, prepared.test)]


def test_the_parts_are_disjoint_and_together_everything(numbered):
    train, val, test = positions(prepare(numbered, val_fraction=0.2, test_fraction=0.1))
    assert not train & val
    assert not train & test
    assert not val & test
    assert train | val | test == set(range(60))
    assert (len(test), len(val)) == (6, 11)


def test_no_seed_moves_a_test_image_into_the_search(numbered):
    tests = {tuple(prepare(numbered, seed=seed).test.index) for seed in range(8)}
    vals = {tuple(prepare(numbered, seed=seed).val.index) for seed in range(8)}
    assert len(tests) == 1
    assert len(vals) > 1


def test_the_limit_is_balanced_and_leaves_the_test_part_alone(numbered):
    whole, limited = prepare(numbered), prepare(numbered, limit=30, val_fraction=0.2)
    assert (limited.test.index == whole.test.index).all()
    train, val, test = positions(limited)
    assert (len(train), len(val)) == (24, 6)
    assert not (train | val) & test
    assert np.bincount(numbered.y_train[limited.train.index]).tolist() == [8, 8, 8]


def test_a_source_with_its_own_parts_keeps_them():
    x, y = np.zeros((12, 2, 2), np.uint8), np.arange(12) % 2
    prepared = prepare(ImageArrays(x, y, x_val=x[:4], y_val=y[:4], x_test=x[:6], y_test=y[:6]), limit=6)
    assert (len(prepared.train), len(prepared.val), len(prepared.test)) == (6, 4, 6)
    assert not np.shares_memory(prepared.val.x, prepared.train.x) or prepared.val.x.shape[0] == 4


def test_without_a_test_fraction_there_is_no_test_part(numbered):
    assert prepare(numbered, test_fraction=0).test is None


def test_statistics_see_the_training_part_only():
    x = np.random.default_rng(0).integers(0, 100, (50, 3, 3, 3)).astype(np.uint8)
    y = np.arange(50) % 2
    before = prepare(ImageArrays(x, y))
    changed = x.copy()
    changed[before.val.index] = 255
    changed[before.test.index] = 255
    after = prepare(ImageArrays(changed, y, x_val=None))
    assert (before.mean == after.mean).all()
    assert (before.std == after.std).all()
    pixels = x[before.train.index].reshape(-1, 3) / 255
    np.testing.assert_allclose(before.mean, pixels.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(before.std, pixels.std(axis=0), rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_statistics_of_a_constant_channel(dtype):
    x = np.zeros((5, 2, 2, 2), dtype)
    x[..., 1] = 4
    x[0, ..., 1] = 8
    mean, std = channel_statistics(Part(x, np.zeros(5, np.int64), np.arange(5)))
    assert std[0] == 1.0
    scale = 255 if dtype == np.uint8 else 1
    np.testing.assert_allclose([mean[1], std[1]], [4.8 / scale, 1.6 / scale], rtol=1e-6)
