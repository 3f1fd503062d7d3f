"""Searches find what they found when everything was still trained inside of `propose`.

The file has the initials of every proposed chain of operations, recorded with version 0.1 before contract 2.0.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from nasplug_infonas.strategies.bo import EmbeddingBO
from nasplug_infonas.strategies.reinforce import EmbeddingReinforce
from nasplug_infonas.strategies.screen import Screen

from nasplug.builtin.regularized_evolution import RegularizedEvolution
from nasplug.testing import SyntheticEvaluator, SyntheticSpace, run_search

pytestmark = pytest.mark.filterwarnings("ignore:this encoder reconstructs")
GOLDEN = json.loads(Path(__file__).with_name("golden_searches.json").read_text(encoding="utf-8"))


def evolution():
    return RegularizedEvolution(population_size=8, tournament_size=3)


SEARCHES = {
    "bo": lambda: EmbeddingBO(initial=10, per_round=3),
    "bo_dngo": lambda: EmbeddingBO(kind="mean", surrogate="dngo", ranks=False, initial=8, per_round=4),
    "bo_forest": lambda: EmbeddingBO(kind="codes", surrogate="forest", initial=8, per_round=4, pool=300),
    "reinforce": lambda: EmbeddingReinforce(episode=6),
    "reinforce_best": lambda: EmbeddingReinforce(episode=4, baseline="best", kind="codes"),
    "screen": lambda: Screen(start=10, factor=8),
    "screen_evolution": lambda: Screen(evolution(), predictor="dngo", factor=3, start=10, refit=5),
    "screen_forest": lambda: Screen(predictor="forest", kind="codes", acquisition="mean", factor=5, start=8, refit=6),
}
SLOW = {"bo_dngo", "bo_forest", "screen_evolution", "screen_forest"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in SEARCHES]
)
def test_the_same_specification_gives_the_same_trials_as_before(name):
    study = run_search(
        SEARCHES[name](),
        space=SyntheticSpace(length=5),
        evaluator=SyntheticEvaluator(failing=0.15),
        trials=40,
        batch=3,
    )
    assert " ".join("".join(word[0] for word in trial.architecture.genotype) for trial in study.trials) == GOLDEN[name]
