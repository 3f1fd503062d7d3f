"""The suite of strategies searches once for what several of its tests compare with."""

from __future__ import annotations

from nasplug.builtin.random import RandomSearch
from nasplug.testing import StrategyConformance


class Counting(StrategyConformance):
    trials = 3

    def __init__(self):
        self.searched = 0

    def make_strategy(self):
        self.searched += 1
        return RandomSearch()


class Other(Counting):
    trials = 4


def test_equal_options_are_searched_once_for_each_class():
    first, second, other = Counting(), Counting(), Other()
    found = first.uninterrupted(seed=5)
    assert second.uninterrupted(seed=5) is found
    assert first.uninterrupted(seed=6) != found
    assert first.uninterrupted(seed=5, trouble={"failing": 1.0}) != found
    assert (first.searched, second.searched) == (3, 0)
    assert len(other.uninterrupted(seed=5)) == 4
