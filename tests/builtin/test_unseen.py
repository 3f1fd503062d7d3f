"""Draws that a study has not had yet."""

from __future__ import annotations

import numpy as np

from nasplug.builtin.unseen import unseen
from nasplug.testing import SyntheticSpace


def test_what_is_known_is_drawn_again():
    space = SyntheticSpace(length=1)
    every = [architecture.key for architecture in space]

    for left in every:
        found = unseen(space, set(every) - {left}, np.random.default_rng(3), attempts=200)
        assert found.key == left


def test_a_space_that_is_used_up_gives_what_there_is():
    space = SyntheticSpace(length=1)
    every = {architecture.key for architecture in space}

    assert unseen(space, every, np.random.default_rng(3), attempts=5).key in every
    assert unseen(space, (), np.random.default_rng(3)) == space.sample(np.random.default_rng(3))
