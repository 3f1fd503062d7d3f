"""Executors that are slow or deliver twice change nothing, those that lie are named; clocks may jump."""

from __future__ import annotations

import itertools
import time

import pytest

import nasplug as nas
from nasplug.testing.search import run_search
from tests.faults.executors import HARMLESS, LIES, Odd, answer_oddly, jumping, move_clock
from tests.faults.tally import Tally


@pytest.mark.parametrize("how", [*HARMLESS, *LIES])
def test_executors_that_are_odd(how):
    tally = Tally()
    for seed in range(4):
        answer_oddly(how, seed, tally)
    tally.check()
    outcome = "survived" if how in HARMLESS else "refused"
    assert dict(tally.counts[f"executor: {how}"]) == {outcome: 4}


@pytest.mark.faults
@pytest.mark.parametrize("how", [*HARMLESS, *LIES])
def test_executors_that_are_odd_many_times(how):
    tally = Tally()
    for seed in range(100, 150):
        answer_oddly(how, seed, tally)
    tally.check()


def test_a_second_answer_does_not_reach_the_file(tmp_path):
    """The first one was observed; what the file holds must be that."""
    path = tmp_path / "s.sqlite"
    study = run_search("random", executor=Odd("duplicated and changed", 3), storage=path, trials=12)
    stored = nas.load_study(path, objects={"space": study.space})
    assert [trial.metrics for trial in stored.trials] == [trial.metrics for trial in study.trials]
    assert not any(trial.metrics.get("val_acc") == 9.0 for trial in stored.trials)


@pytest.mark.parametrize("how", ["day", "sleep"])
def test_clocks_that_jump(how, tmp_path):
    tally = Tally()
    for seed in range(5):
        move_clock(how, seed, tally, tmp_path)
    tally.check()


@pytest.mark.parametrize("how", ["day", "sleep"])
def test_the_clock_jumps_indeed(how):
    read = time.time if how == "day" else time.monotonic
    with jumping(0, how):
        values = [(time.time if how == "day" else time.monotonic)() for _ in range(200)]
    steps = [after - before for before, after in itertools.pairwise(values)]
    assert max(steps) > 3600
    assert (min(steps) < -3600) == (how == "day")
    assert read in (time.time, time.monotonic)
