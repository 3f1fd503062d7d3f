"""Searches over the plugin that works, with everything given by name, so that any process can run them."""

from __future__ import annotations

from pathlib import Path

import pytest

from nasplug.run.spec import RunSpec

PLUGIN = Path(__file__).parents[1] / "support" / "working_plugin.py"


@pytest.fixture
def working():
    """Makes a specification of a search over the space `line`."""

    def make(strategy="random", *, evaluator=None, trials=9, epochs=3, run=None, **keys) -> RunSpec:
        synthetic = {"class_path": "nasplug.testing.SyntheticEvaluator"}
        return RunSpec.parse(
            {
                "space": "line",
                "strategy": strategy,
                "evaluator": evaluator or synthetic,
                "budget": {"trials": trials, "epochs": epochs},
                "plugins": [str(PLUGIN)],
                "run": {"batch": 2, **(run or {})},
                **keys,
            }
        )

    return make
