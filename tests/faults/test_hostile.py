"""Hostile specifications and weights are refused with one message, or do no harm."""

from __future__ import annotations

import pytest

from tests.faults.hostile import HOSTILE
from tests.faults.kills import cases, fill_disk, quiet_run
from tests.faults.tally import Tally


@pytest.mark.parametrize("read", HOSTILE, ids=lambda read: read.__name__)
def test_files_of_strangers(read, tmp_path):
    tally = Tally()
    for seed in range(60):
        read(seed, tmp_path, tally)
    tally.check()


@pytest.mark.parametrize("case", [case for case in cases() if case.name in ("climb", "qnas", "asha of random", "work")])
def test_a_full_disk_at_any_write(case, tmp_path):
    expected, _ = quiet_run(case, tmp_path / "quiet")
    tally = Tally()
    for seed in range(4):
        fill_disk(case, expected, seed, tmp_path / "full", tally)
    tally.check()
