"""New indices along an axis, for any channels on it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nasplug.surgery.plans import Plan

CHANNELS = 5
axes = st.lists(st.integers(0, CHANNELS - 1), min_size=1, max_size=12).map(lambda each: np.array(each, np.int64))


@given(axes, st.lists(st.integers(0, 3), min_size=CHANNELS, max_size=CHANNELS))
def test_every_index_is_there_as_often_as_its_channel(channels, factors):
    plan = Plan((), {}, np.array(factors), np.arange(CHANNELS))
    take, copies = plan.take(channels)
    assert len(take) == plan.size(channels)
    counts = np.bincount(take, minlength=len(channels)) if len(take) else np.zeros(len(channels), int)
    assert counts.tolist() == [factors[each] for each in channels]
    assert np.bincount(take[~copies], minlength=len(channels)).max(initial=0) <= 1
    runs = channels[take]
    order = [index for index in range(len(runs)) if index == 0 or runs[index] != runs[index - 1]]
    kept = [each for each in channels.tolist() if factors[each]]
    assert [int(runs[index]) for index in order] == [
        each for index, each in enumerate(kept) if index == 0 or each != kept[index - 1]
    ]


@given(axes, st.permutations(range(CHANNELS)))
def test_an_order_hands_the_places_over(channels, order):
    # channels that change places have as many of them
    counts = np.bincount(channels, minlength=CHANNELS)
    wanted = np.array([new if counts[new] == counts[old] else old for old, new in enumerate(order)])
    if sorted(wanted.tolist()) != list(range(CHANNELS)):
        wanted = np.arange(CHANNELS)
    take, copies = Plan((), {}, np.ones(CHANNELS, np.int64), wanted).take(channels)
    assert not copies.any()
    assert sorted(take.tolist()) == list(range(len(channels)))
    assert channels[take].tolist() == wanted[channels].tolist()
