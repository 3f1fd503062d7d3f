"""Runs killed at random moments end as quiet runs do, and lose no finished trial on the way."""

from __future__ import annotations

import os
import signal
import time

import pytest

from nasplug.plugins.component import Component
from nasplug.plugins.discovery import discover
from tests.faults import kills
from tests.faults.crashes import crash_until_done, die_in_workers
from tests.faults.kills import HEAVY, cases, kill_until_done, kill_workers_until_done, quiet_run
from tests.faults.studies import toy
from tests.faults.tally import Tally

LIGHT = [case for case in cases() if case.name not in HEAVY]


def test_every_strategy_that_is_shipped_is_killed():
    shipped = set(discover().catalog.names("strategy")) - {"optuna"}  # which is any of those after the dot
    assert shipped <= {Component.parse(case.keys["strategy"], where="strategy").name for case in cases()}


@pytest.mark.parametrize("case", LIGHT[::9], ids=lambda case: case.name)
def test_a_killed_run_ends_as_a_quiet_one(case, tmp_path):
    quiet_run(case, tmp_path / "warm")
    expected, seconds = quiet_run(case, tmp_path / "quiet")
    tally = Tally()
    assert kill_until_done(case, expected, seconds, 7, tmp_path / "killed", tally) == tally.injected
    tally.check()


@pytest.mark.faults
@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_a_killed_run_ends_as_a_quiet_one_every_time(case, tmp_path):
    quiet_run(case, tmp_path / "warm")
    expected, seconds = quiet_run(case, tmp_path / "quiet")
    tally = Tally()
    for seed in range(2 if case.name in HEAVY else 10):
        kill_until_done(case, expected, seconds, seed, tmp_path / "killed", tally)
    tally.check()


@pytest.mark.faults
@pytest.mark.parametrize("case", LIGHT, ids=lambda case: case.name)
def test_killed_workers_and_drivers_change_nothing(case, tmp_path):
    expected, _ = quiet_run(case, tmp_path / "quiet")
    tally = Tally()
    for seed in range(3):
        kill_workers_until_done(case, expected, seed, tmp_path / "killed", tally)
    tally.check()


#: Of every kind of strategy one: with state, without, nested, with work, with a supernet, with an embedder.
SHORT = ("climb, pruned", "asha of evolution", "work", "optuna.nsga2", "infonas.bo", "darts_lp.search")


@pytest.mark.parametrize("case", [case for case in cases() if case.name in SHORT], ids=lambda case: case.name)
def test_a_run_that_kills_itself_ends_as_a_quiet_one(case, tmp_path):
    expected, _ = quiet_run(case, tmp_path / "quiet")
    tally = Tally()
    most = 4 if case.name in HEAVY else 8  # every kill costs those the training of a model
    assert crash_until_done(case, expected, 7, tmp_path / "killed", tally, most=most) >= 3
    tally.check()


@pytest.mark.faults
@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_a_run_that_kills_itself_ends_as_a_quiet_one_every_time(case, tmp_path):
    expected, _ = quiet_run(case, tmp_path / "quiet")
    tally = Tally()
    for seed in range(3):
        crash_until_done(case, expected, seed, tmp_path / "killed", tally)
    crash_until_done(case, expected, 5, tmp_path / "killed", tally, {"executor": "process", "workers": 2}, most=2)
    tally.check()


@pytest.mark.faults
@pytest.mark.parametrize("case", LIGHT[::4], ids=lambda case: case.name)
def test_workers_that_die_in_their_trials_change_nothing(case, tmp_path):
    tally = Tally()
    assert die_in_workers(case, 3, tmp_path, tally) > 0
    tally.check()


def test_a_run_that_is_killed_while_it_makes_its_file_can_start_again(tmp_path):
    """The file appears complete or not at all; every moment of the first milliseconds is tried."""
    spec = toy(tmp_path, budget={"trials": 3})
    path = tmp_path / "s.sqlite"
    seen = set()
    for step in range(40):
        pid = os.fork()
        if pid == 0:
            from nasplug.ledger.sqlite import SQLiteStorage

            SQLiteStorage(path).write_meta({"id": "a", "spec": spec.to_plain()})
            os._exit(0)
        time.sleep(step * 0.0002)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        seen.add(path.exists())
        assert kills.finished(path) == {}
        for file in tmp_path.glob("s.sqlite*"):
            file.unlink()
    assert False in seen
