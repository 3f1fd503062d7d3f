"""Scripts keep what each seed gave, and go on from it."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_seeds_that_are_done_are_kept_when_a_later_one_fails(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    from _record import by_seed

    made = []

    def make(seed):
        made.append(seed)
        if made == [0, 1]:
            raise RuntimeError("out of memory")
        return {"accuracy": seed / 10}

    kept = tmp_path / "work" / "seeds.json"
    with pytest.raises(RuntimeError):
        by_seed(kept, [0, 1], make)
    assert by_seed(kept, [1, 0], make) == [{"accuracy": 0.1}, {"accuracy": 0.0}]
    assert made == [0, 1, 1]
