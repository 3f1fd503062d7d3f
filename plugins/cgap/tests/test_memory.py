"""Replay memory."""

from __future__ import annotations

import numpy as np
import pytest
from nasplug_cgap.sequence.loaders import Indexed
from nasplug_cgap.sequence.memory import Memory
from nasplug_cgap.sequence.schedule import ClassSequence

from nasplug.contract.errors import SpecError

from .conftest import blobs


@pytest.fixture(scope="module")
def data():
    return Indexed(blobs(6).datamodule().train_dataloader())


THREE = ClassSequence.of("3+2+1", 6, None)


def test_shares():
    assert Memory(12).counts(THREE, 1) == {0: 4, 1: 4, 2: 4}
    assert Memory(12).counts(THREE, 2) == dict.fromkeys(range(5), 2)
    assert Memory(12, shares="stage").counts(THREE, 2) == {0: 2, 1: 2, 2: 2, 3: 3, 4: 3}


def test_first_samples_are_the_first(data):
    memory = Memory(6, selection="first")
    kept = memory.kept(data, THREE, 1, seed=5)
    for label in range(3):
        assert [i for i in kept if data.labels[i] == label] == data.of([label])[:2].tolist()


@pytest.mark.parametrize("selection", ["first", "random"])
@pytest.mark.parametrize("shares", ["class", "stage"])
def test_what_is_let_go_never_comes_back(data, selection, shares):
    memory = Memory(24, selection, shares)
    before, after = (set(memory.kept(data, THREE, stage, seed=1)) for stage in (1, 2))
    old = {i for i in after if data.labels[i] in (0, 1, 2)}
    assert old < before
    assert len(before) <= 24
    assert len(after) <= 24


def test_random_samples_follow_the_seed(data):
    memory = Memory(12)
    first, again, other = (memory.kept(data, THREE, 1, seed) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()
    assert len(memory.kept(data, THREE, 0, 1)) == 0


def test_balance(data):
    counts = np.bincount(data.labels[Memory(20).balanced(data, THREE, 2, 0)], minlength=6)
    assert counts.tolist() == [4] * 6
    counts = np.bincount(data.labels[Memory(24, shares="stage").balanced(data, THREE, 2, 0)], minlength=6)
    assert counts.tolist() == [4, 4, 4, 6, 6, 12]  # a third for every stage, as the authors divide it


def test_a_memory_smaller_than_the_classes():
    Memory(5).check(THREE, "x")
    with pytest.raises(SpecError, match=r"none for some of the 5 classes") as caught:
        Memory(4).check(THREE, "x")
    assert "memory.size to 5" in str(caught.value)
    least = 6
    Memory(least, shares="stage").check(THREE, "x")
    with pytest.raises(SpecError, match=f"memory.size to {least}"):
        Memory(least - 1, shares="stage").check(THREE, "x")


@pytest.mark.parametrize("settings", [{"size": 0}, {"size": 2.5}, {"selection": "herding"}, {"shares": "task"}])
def test_bad_settings(settings):
    with pytest.raises(SpecError, match="memory"):
        Memory(**settings)
