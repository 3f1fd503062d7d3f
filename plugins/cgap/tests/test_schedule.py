"""Schedules of classes."""

from __future__ import annotations

import pytest
from nasplug_cgap.sequence.schedule import ClassSequence, parse_schedule

from nasplug.contract.errors import SpecError


@pytest.mark.parametrize(
    ("schedule", "sizes"),
    [
        ("5+5", (5, 5)),
        ("5x2", (2, 2, 2, 2, 2)),
        ("9+1", (9, 1)),
        ("50+5x10", (50, 10, 10, 10, 10, 10)),
        ("5,1,1,1,1,1", (5, 1, 1, 1, 1, 1)),
        (" 4 + 2 x 3 ", (4, 3, 3)),
        ([3, 1, 1], (3, 1, 1)),
    ],
)
def test_sizes(schedule, sizes):
    assert parse_schedule(schedule) == sizes


@pytest.mark.parametrize(
    "schedule", ["", "5+", "5-5", "a+b", "10", "0+5", "1+9", "10x1", [5], [], [1, 9], [5, -1], [2.5, 2.5], [True, True]]
)
def test_bad_schedules(schedule):
    with pytest.raises(SpecError, match="my learner"):
        parse_schedule(schedule, "my learner")


def test_classes_are_divided_by_seed():
    first, again, other = (ClassSequence.of("3+2", 5, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert sorted(first.seen(1)) == [0, 1, 2, 3, 4]
    assert first.seen(0) == first.stages[0]
    assert ClassSequence.of("3+2", 5, None).stages == ((0, 1, 2), (3, 4))
    assert (first.share(0), first.share(1)) == (0.6, 0.4)
    assert all(label in first.stages[stage] for label, stage in first.stage_of.items())
    assert str(first) == "3+2"


@pytest.mark.parametrize("outputs", [4, 6])
def test_a_schedule_must_add_up(outputs):
    with pytest.raises(SpecError, match=r"has 5 classes, and the task has") as caught:
        ClassSequence.of("3+2", outputs)
    assert "add up" in str(caught.value)
