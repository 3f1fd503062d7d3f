"""Shared fixtures: the toy plugin, and short ways to run it."""

from __future__ import annotations

from pathlib import Path

import pytest

import nasplug as nas
from nasplug.run.spec import RunSpec

TOY = Path(__file__).parent / "support" / "toy_plugin.py"


@pytest.fixture
def toy_path() -> str:
    return str(TOY)


@pytest.fixture
def toy_spec():
    """Makes a specification of the toy search; keyword arguments replace keys of it."""

    def make(*, evaluator=None, run=None, budget=None, **keys) -> RunSpec:
        return RunSpec.parse(
            {
                "space": "toy",
                "strategy": "climb",
                "evaluator": {"toy": evaluator or {}},
                "budget": {"trials": 12, **(budget or {})},
                "run": {"seed": 3, **(run or {})},
                "plugins": [str(TOY)],
                **keys,
            }
        )

    return make


@pytest.fixture
def outcome():
    """What two runs must agree on: everything but wall time."""

    def of(study: nas.Study) -> list[dict]:
        records = [trial.to_json() for trial in study.trials]
        for record in records:
            record.pop("seconds", None)
        return records

    return of
