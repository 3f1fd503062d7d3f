"""Damaged study files: what is read is what was written, or it is refused and left as it was."""

from __future__ import annotations

import random

import pytest

from tests.faults.corruption import DAMAGES, corrupt, forge
from tests.faults.studies import fingerprint, samples, toy
from tests.faults.tally import Tally


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    return samples(tmp_path_factory.mktemp("studies"), long=80)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_nothing_is_read_that_was_not_written(studies, damage, tmp_path):
    tally = Tally()
    for seed in range(15):
        corrupt(studies[seed % len(studies)], damage, seed, tmp_path / "copy", tally)
    tally.check()
    assert tally.injected == 15


def test_values_that_make_no_sense_are_refused(studies, tmp_path):
    tally = Tally()
    for seed in range(60):
        forge(random.Random(seed).choice(studies), seed, tmp_path / "copy", tally)
    tally.check()


@pytest.mark.faults
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_nothing_is_read_that_was_not_written_in_many_cases(studies, damage, tmp_path):
    tally = Tally()
    for seed in range(1000, 1500):
        corrupt(studies[seed % len(studies)], damage, seed, tmp_path / "copy", tally)
    tally.check()


def test_the_samples_differ_where_they_should(studies, tmp_path):
    states = [sample.state for sample in studies]
    assert len(set(states)) == len(states)
    assert all(sample.state in sample.history for sample in studies if sample.history)
    assert toy(tmp_path).run.storage == str(tmp_path / "s.sqlite")
    assert fingerprint(studies[0].folder / "s.sqlite") == states[0]
