from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasplug.contract.errors import DataError
from nasplug.data.splits import balanced_subset, stratified_split

LABELS = np.repeat([0, 1, 2], [70, 20, 10])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(2, 40), min_size=2, max_size=6), st.floats(0.05, 0.6), st.integers(0, 1000))
def test_split_is_a_partition_of_the_right_size(counts, fraction, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    if round(fraction * len(labels)) == 0:
        return
    rest, held = stratified_split(labels, fraction, np.random.default_rng(seed))
    assert sorted([*rest, *held]) == list(range(len(labels)))
    assert len(held) == round(fraction * len(labels)) or (np.bincount(labels[rest]) == 1).any()
    assert set(labels[rest]) == set(labels)
    share = np.bincount(labels[held], minlength=len(counts)) - np.array(counts) * fraction
    assert (np.abs(share) < 1.0 + 1e-9).all()


def test_split_shares_and_seed():
    rest, held = stratified_split(LABELS, 0.1, np.random.default_rng(3))
    assert np.bincount(LABELS[held]).tolist() == [7, 2, 1]
    assert len(rest) == 90
    again = stratified_split(LABELS, 0.1, np.random.default_rng(3))
    other = stratified_split(LABELS, 0.1, np.random.default_rng(4))
    assert (held == again[1]).all()
    assert (held != other[1]).any()


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 0.001])
def test_split_refuses_an_empty_part(fraction):
    with pytest.raises(DataError, match="hold"):
        stratified_split(LABELS, fraction, np.random.default_rng(0))


def test_a_class_never_loses_its_last_image():
    rest, held = stratified_split(np.array([0, 0, 0, 0, 1]), 0.6, np.random.default_rng(0))
    assert 4 in rest
    assert len(held) == 2 or len(held) == 3


def test_subset_is_balanced_and_filled_up():
    assert np.bincount(LABELS[balanced_subset(LABELS, 30, np.random.default_rng(0))]).tolist() == [10, 10, 10]
    assert np.bincount(LABELS[balanced_subset(LABELS, 60, np.random.default_rng(0))]).tolist() == [30, 20, 10]
    counts = np.bincount(LABELS[balanced_subset(LABELS, 29, np.random.default_rng(0))])
    assert counts.sum() == 29
    assert counts.max() - counts.min() == 1
    assert len(balanced_subset(LABELS, 1000, np.random.default_rng(0))) == 100
    with pytest.raises(DataError, match="below the number of classes"):
        balanced_subset(LABELS, 2, np.random.default_rng(0))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=2, max_size=5), st.integers(5, 60), st.integers(0, 100))
def test_subset_has_the_size_asked_for(counts, size, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    chosen = balanced_subset(labels, size, np.random.default_rng(seed))
    assert len(chosen) == len(set(chosen)) == min(size, len(labels))
