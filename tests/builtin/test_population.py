"""Population-based training: who goes on, who takes over, and what changes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from nasplug.builtin.population import MEMBER, POPULATION, STEP, PopulationBased
from nasplug.contract.errors import SpecError
from nasplug.testing import StrategyConformance, run_search


class TestPopulation(StrategyConformance):
    def make_strategy(self):
        return PopulationBased(population_size=5, mutation=0.5)


def test_members_train_in_turn_and_another_population_follows():
    study = run_search(PopulationBased(4, step=2, mutation=1.0), trials=24, epochs=5, batch=1)
    facts = [tuple(trial.proposal.info[key] for key in (POPULATION, STEP, MEMBER)) for trial in study.trials]
    assert facts == [(p, s, m) for p in range(2) for s in range(1, 4) for m in range(4)]


def test_the_worst_take_over_from_the_best_and_the_others_go_on():
    study = run_search(PopulationBased(10, share=0.2, mutation=1.0), trials=50, epochs=5, batch=1)
    origins = Counter()
    for trial in study.trials[10:]:
        last = {}
        for earlier in study.trials[: trial.number]:
            last[earlier.proposal.info[MEMBER]] = earlier
        ordered = sorted(last.values(), key=study.score, reverse=True)
        own = last[trial.proposal.info[MEMBER]]
        origin = trial.proposal.info["origin"]
        origins[origin] += 1
        assert (own in ordered[-2:]) == (origin == "exploited")
        if origin == "exploited":
            (source,) = trial.proposal.info["parents"]
            assert study.trial(source) in ordered[:2]
            assert trial.proposal.inherits.mode == "weights"
            assert study.budget_of(trial).epochs == 1
            changed = zip(trial.architecture.genotype, study.trial(source).architecture.genotype, strict=True)
            assert sum(one != other for one, other in changed) == 1
        else:
            assert trial.proposal.parent == own.number
            assert study.budget_of(trial).epochs == study.budget_of(own).epochs + 1
    assert origins["exploited"] > 4


def test_hyperparameters_are_moved_by_a_fifth_or_drawn_anew():
    strategy = PopulationBased(
        hyperparameters={"lr": {"low": 1e-3, "high": 1e-1, "log": True}, "width": [8, 16, 32], "momentum": 0.9},
        resample=0.0,
    )
    assert strategy.hyperparameters == ("lr", "momentum", "width")
    rng = np.random.default_rng(0)
    moved = {round(strategy._moved("lr", 1e-2, rng), 6) for _ in range(20)}
    assert moved == {0.008, 0.012}
    assert strategy._moved("lr", 1e-1, np.random.default_rng(1)) <= 1e-1
    assert {strategy._moved("width", 16, rng) for _ in range(20)} == {8, 32}
    assert strategy._moved("momentum", 0.9, rng) == 0.9
    anew = PopulationBased(hyperparameters={"lr": {"low": 1e-3, "high": 1e-1, "log": True}}, resample=1.0)
    drawn = [anew._moved("lr", 1e-2, rng) for _ in range(50)]
    assert min(drawn) < 0.005
    assert max(drawn) > 0.05


def test_the_weights_of_all_members_are_still_needed():
    strategy = PopulationBased(4, mutation=1.0)
    study = run_search(strategy, trials=10, epochs=4, batch=1)
    assert strategy.needs_weights(study) == [8, 9, 6, 7]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"population_size": 1, "mutation": 1.0}, "two members"),
        ({"step": 4, "max_epochs": 3, "mutation": 1.0}, "steps of 1"),
        ({"share": 0.6, "mutation": 1.0}, "share"),
        ({"mutation": 2.0}, "mutation"),
        ({}, "nothing could be changed"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(SpecError, match=message):
        PopulationBased(**options)
