"""What makes two proposals the same training: architecture, hyperparameters, budget, inheritance and seed."""

from __future__ import annotations

import itertools

import pytest

import nasplug as nas
from nasplug.contract.errors import TaskError
from nasplug.contract.io import TensorSpec
from nasplug.contract.records import Budget, Inherit

ARCHITECTURE = nas.Architecture("s", (1,), "1")
VARIANTS = [
    nas.Proposal(ARCHITECTURE),
    nas.Proposal(nas.Architecture("s", (2,), "2")),
    nas.Proposal(nas.Architecture("t", (1,), "1")),
    nas.Proposal(ARCHITECTURE, {"lr": 0.1}),
    nas.Proposal(ARCHITECTURE, {"lr": 0.2}),
    nas.Proposal(ARCHITECTURE, budget=Budget(epochs=1)),
    nas.Proposal(ARCHITECTURE, budget=Budget(epochs=2)),
    nas.Proposal(ARCHITECTURE, inherits=Inherit(0, "training")),
    nas.Proposal(ARCHITECTURE, inherits=Inherit(0, "weights")),
    nas.Proposal(ARCHITECTURE, inherits=Inherit(1, "weights")),
    nas.Proposal(ARCHITECTURE, seed=0),
    nas.Proposal(ARCHITECTURE, seed=1),
]


def test_every_part_tells_trainings_apart():
    for one, other in itertools.combinations(VARIANTS, 2):
        assert one.identity() != other.identity()


def test_provenance_and_the_order_of_hyperparameters_do_not():
    one = nas.Proposal(ARCHITECTURE, {"a": 1, "b": 2}, info={"generation": 3})
    assert one.identity() == nas.Proposal(ARCHITECTURE, {"b": 2, "a": 1}).identity()
    for proposal in VARIANTS:
        assert nas.Proposal.from_json(proposal.to_json()).identity() == proposal.identity()


@pytest.mark.parametrize("high", [1, 2, 1000])
def test_a_vocabulary_may_have_one_entry(high):
    spec = TensorSpec((4,), "int64", high)
    found = spec.example(3, 0, "cpu")
    assert found.shape == (3, 4)
    assert 0 <= int(found.min()) <= int(found.max()) < high


@pytest.mark.parametrize("high", [0, -1])
def test_an_empty_vocabulary_is_refused(high):
    with pytest.raises(TaskError, match="high must be > 0"):
        TensorSpec((4,), "int64", high)
