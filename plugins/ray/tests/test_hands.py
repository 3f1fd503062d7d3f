"""Letters of workers reach the driver in the order in which they were written."""

from __future__ import annotations

import pytest
from nasplug_ray.hands import RayHands


@pytest.fixture
def hands():
    made = RayHands.__new__(RayHands)
    made._claimed = set()
    made._actors = {0: object(), 1: object()}
    made._next, made._early = {0: 0, 1: 0}, {0: {}, 1: {}}
    return made


def kinds(hands, *letters):
    return [(worker, kind) for worker, kind, _ in hands._in_order([(*letter, b"") for letter in letters])]


def test_a_letter_that_is_early_waits_for_those_before_it(hands):
    assert kinds(hands, (0, 0, "ready"), (0, 2, "done")) == [(0, "ready")]
    assert kinds(hands, (0, 1, "message")) == [(0, "message"), (0, "done")]


def test_workers_do_not_wait_for_each_other(hands):
    assert kinds(hands, (0, 1, "done"), (1, 0, "ready")) == [(1, "ready")]


def test_letters_of_ended_workers_and_old_ones_count_for_nothing(hands):
    kinds(hands, (0, 0, "ready"))
    assert kinds(hands, (0, 0, "ready"), (7, 0, "ready")) == []


def test_a_result_that_was_found_without_its_letter_makes_the_earlier_ones_old(hands):
    hands._next[0] = 3  # as after an answer that counts three letters
    assert kinds(hands, (0, 1, "message"), (0, 2, "done"), (0, 3, "message")) == [(0, "message")]


def test_a_worker_that_was_taken_over_is_heard_wherever_its_count_is(hands):
    hands._claimed.add(1)
    assert kinds(hands, (1, 7, "message"), (1, 9, "done")) == [(1, "message"), (1, "done")]
