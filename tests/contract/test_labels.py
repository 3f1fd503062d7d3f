"""Names of architectures for people."""

from __future__ import annotations

import pytest

from nasplug.contract.labels import labeller, shortened, spelled
from nasplug.contract.records import Architecture
from nasplug.ledger.ledger import Ledger
from nasplug.testing import SyntheticSpace


@pytest.mark.parametrize(
    ("genotype", "expected"),
    [
        (("resnet10t",), "resnet10t"),
        (("resnet10t", 0.1 + 0.2, None, True), "resnet10t 0.3 - True"),
        ((("conv", 3), ("pool", 2)), "(conv 3) (pool 2)"),
        ("whole", "whole"),
        (7, "7"),
        ((), "()"),
    ],
)
def test_a_genotype_is_spelled_without_json(genotype, expected):
    assert spelled(Architecture("any", genotype, "{}")) == expected


@pytest.mark.parametrize("width", [0, 12, 13, 20, 40, 200])
def test_short_labels_end_behind_a_word(width):
    label = "conv_3_1_64 pool_2 conv_3_1_128 dense"
    short = shortened(label, width)
    assert len(short) <= max(width, 12)
    head, mark, left = short.partition(" … +")
    if mark:
        assert label.startswith(f"{head} ")
        assert len(head.split()) + int(left) == len(label.split())


def test_a_word_that_is_too_long_is_cut():
    assert shortened("x" * 100, 20) == "x" * 19 + "…"


class Odd(SyntheticSpace):
    def __init__(self, answer):
        super().__init__(length=2)
        self.answer = answer

    def label(self, architecture):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("answer", [ValueError("no"), "", "  ", None, 3])
def test_a_space_that_cannot_name_its_networks_stops_nothing(answer):
    space = Odd(answer)
    ledger = Ledger.of(space, {"score": "max"})
    trial = ledger.propose(ledger.view.proposal(space.from_code(1)))
    assert trial.label == ledger.view.label(trial) == "skip narrow"


def test_lines_become_one():
    assert labeller(Odd("two\nlines"))(Odd("x").from_code(1)) == "two lines"


def test_the_ledger_keeps_what_the_space_said():
    space = SyntheticSpace(length=2)
    ledger = Ledger.of(space, {"score": "max"})
    trial = ledger.propose(ledger.view.proposal(space.from_code(1)))
    assert trial.label == "position0=skip position1=narrow"
    assert Ledger.of(None, {"score": "max"}, trials=[trial]).view.label(trial) == trial.label
