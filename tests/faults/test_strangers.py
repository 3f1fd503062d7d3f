"""Files of strangers in every format are refused in one message that names them, or do no harm."""

from __future__ import annotations

import importlib
import os
import random
import time

import pytest

from tests.faults import strangers
from tests.faults.strangers import Readers, damaged, formats
from tests.faults.tally import Tally


@pytest.fixture(scope="module", autouse=True)
def _loaded():
    """What the readers need is imported once, here, and not in every fork."""
    for name in (
        "torch",
        "safetensors.torch",
        "nasplug.export.bundle",
        "nasplug_infonas.embedder",
        "nasplug_infonas.iodata",
    ):
        importlib.import_module(name)


@pytest.fixture
def readers(tmp_path, monkeypatch):
    monkeypatch.setenv("NASPLUG_CACHE", str(tmp_path / "cache"))
    return Readers(tmp_path / "strangers", Tally())


@pytest.mark.parametrize("name", formats())
def test_files_of_strangers(readers, name):
    readers.read(name, range(6), every=7)
    readers.tally.check()
    assert readers.tally.injected >= 6


@pytest.mark.faults
@pytest.mark.parametrize("name", formats())
def test_many_files_of_strangers(readers, name):
    readers.read(name, range(1000, 1200))
    readers.tally.check()


def test_a_reader_that_dies_hangs_or_runs_a_payload_is_seen(readers):
    """The harness itself: what it promises to count, it counts."""

    def run(what):
        {
            "dies": lambda: os.kill(os.getpid(), 11),
            "raises": lambda: 1 / 0,
            "hangs": lambda: time.sleep(60),
            "runs": (readers.folder / "PWNED").touch,
            "reads": lambda: None,
        }[what]()

    readers.folder.mkdir()
    patience, strangers.PATIENCE = strangers.PATIENCE, 1.0
    try:
        for what in ("dies", "raises", "hangs", "runs", "reads"):
            readers.isolated([(what, lambda what=what: run(what)), ("next", lambda: None)], readers.counter(what))
    finally:
        strangers.PATIENCE = patience
    assert {kind: dict(found) for kind, found in readers.tally.counts.items()} == {
        "dies": {"traceback": 1, "survived": 1},
        "raises": {"traceback": 1, "survived": 1},
        "hangs": {"hung": 1, "survived": 1},
        "runs": {"executed": 1, "survived": 1},
        "reads": {"survived": 2},
    }


def test_damage_is_drawn_from_its_seed():
    good = bytes(range(256)) * 4
    made = [damaged(good, random.Random(seed), "text") for seed in range(50)]
    assert made == [damaged(good, random.Random(seed), "text") for seed in range(50)]
    assert len(set(made)) > 40
    assert good not in made[:10]
