"""Searches stay what they are: the same specification gives the trials that earlier versions gave.

Recorded at the version before contract 2.0, and equal since. Run this file to record anew, after a change that is
meant.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

import nasplug as nas
from nasplug.plugins.discovery import discover
from nasplug.testing import SyntheticEvaluator, SyntheticSpace, run_search

RECORDED = Path(__file__).with_name("recorded_searches.json")
TWO = {"objectives": {"val_acc": "max", "params": "min"}}
EVOLUTION = {"population_size": 8, "tournament_size": 3}
SEARCHES = {
    "random": ("random", {}, {}),
    "evolution": ("regularized_evolution", EVOLUTION, {}),
    "evolution_crossover": ("regularized_evolution", {**EVOLUTION, "crossover": 0.5}, {}),
    "successive_halving": (
        "successive_halving",
        {
            "inner": nas.component("regularized_evolution", population_size=6, tournament_size=2),
            "eta": 3,
            "min_epochs": 1,
        },
        {},
    ),
    "asha": ("asha", {"inner": "random", "eta": 3, "min_epochs": 1}, {}),
    "qnas": ("qnas", {"preset": "strong"}, {}),
    "qnas_table": ("qnas", {"preset": "table", "evolution": {"redraws": 0}}, {}),
    "bogk": ("bogk", {}, {"trials": 24}),
    "optuna.tpe": ("optuna.tpe", {}, {}),
    "optuna.tpe_two": ("optuna.tpe", {}, TWO),
    "emonas": ("emonas", {}, TWO),
}


def record(name: str) -> str:
    slug, arguments, more = SEARCHES[name]
    study = run_search(
        nas.component(slug, **arguments),
        space=SyntheticSpace(),
        evaluator=SyntheticEvaluator(noise=0.05, failing=0.05),
        **{"trials": 48, "epochs": 9, "seed": 5, **more},
    )
    rows = [
        [
            trial.architecture.key,
            trial.state,
            trial.seed,
            round(trial.metrics.get("val_acc", -1), 9),
            trial.proposal.parent,
            trial.copied_from,
            study.budget_of(trial).epochs,
        ]
        for trial in study.trials
    ]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_gives_the_trials_it_always_gave(name):
    if not discover().catalog.has("strategy", SEARCHES[name][0]):
        pytest.skip(f"the strategy {SEARCHES[name][0]} is not installed")
    assert record(name) == json.loads(RECORDED.read_text())[name]


if __name__ == "__main__":
    RECORDED.write_text(json.dumps({name: record(name) for name in SEARCHES}, indent=1) + "\n")
