"""NSGA-II: generations, survivors, children, and what it is worth."""

from __future__ import annotations

import numpy as np
import pytest

import nasplug as nas
from nasplug.builtin.nsga2 import GENERATION, Nsga2
from nasplug.builtin.random import RandomSearch
from nasplug.builtin.ranking import best_first, comparable
from nasplug.contract.errors import SpecError
from nasplug.testing import StrategyConformance, SyntheticEvaluator, SyntheticSpace, run_search

TWO = {"val_acc": "max", "params": "min"}


class TestNsga2(StrategyConformance):
    def make_strategy(self):
        return Nsga2(population_size=6)


class TestNsga2OfOneParent(StrategyConformance):
    def make_strategy(self):
        return Nsga2(population_size=5, crossover=0.0)


def search(strategy, **options):
    space = SyntheticSpace(length=10)
    return run_search(strategy, space=space, evaluator=SyntheticEvaluator(noise=0.02), **{"trials": 120, **options})


def test_generations_follow_each_other_whole():
    study = search(Nsga2(population_size=12), trials=48, batch=5)
    assert [trial.proposal.info[GENERATION] for trial in study.trials] == [0] * 12 + [1] * 12 + [2] * 12 + [3] * 12


def test_parents_are_the_best_of_parents_and_children():
    study = search(Nsga2(population_size=10, crossover=0.5), objectives=TWO, trials=60)
    survivors: list[nas.Trial] = []
    for generation in range(5):
        members = [trial for trial in study.trials if trial.proposal.info[GENERATION] == generation]
        survivors = best_first(study, [t for t in (*survivors, *members) if comparable(study, t)])[:10]
        children = [trial for trial in study.trials if trial.proposal.info[GENERATION] == generation + 1]
        parents = {number for trial in children for number in trial.proposal.info["parents"]}
        assert parents <= {trial.number for trial in survivors}
        ranks = [survivors.index(study.trial(n)) for trial in children for n in trial.proposal.info["parents"]]
        assert np.mean(ranks) < 4.5  # of tournaments of two: 2.85 in the mean, 4.5 without selection
    assert {len(trial.proposal.info["parents"]) for trial in study.trials} == {0, 1, 2}


def test_children_of_one_parent_are_one_decision_away():
    study = search(Nsga2(population_size=10, crossover=0.0, distinct=False), trials=40)
    for trial in study.trials[10:]:
        (parent,) = trial.proposal.info["parents"]
        pairs = zip(trial.architecture.genotype, study.trial(parent).architecture.genotype, strict=True)
        assert sum(a != b for a, b in pairs) == 1


def test_without_mutation_children_have_nothing_that_their_parents_do_not_have():
    study = search(Nsga2(population_size=10, crossover=1.0, mutation=0.0, distinct=False), trials=40)
    for trial in study.trials[10:]:
        parents = [study.trial(number).architecture.genotype for number in trial.proposal.info["parents"]]
        assert all(gene in options for gene, *options in zip(trial.architecture.genotype, *parents, strict=True))


@pytest.mark.slow  # a small lead needs many seeds
def test_it_covers_a_front_better_than_random():
    reference = {"val_acc": 0.0, "params": 640}
    volumes = {
        make: [search(make(), objectives=TWO, trials=240, seed=seed).hypervolume(reference) for seed in range(12)]
        for make in (RandomSearch, Nsga2)
    }
    assert np.mean(volumes[Nsga2]) > 1.01 * np.mean(volumes[RandomSearch])


def test_enqueued_architectures_compete_with_the_first_generation():
    best = search(Nsga2(), seed=1).best.architecture
    study = search(Nsga2(population_size=8), trials=17, enqueue=[best.genotype])
    assert GENERATION not in study.trials[0].proposal.info
    assert [t.proposal.info[GENERATION] for t in study.trials[1:]] == [0] * 8 + [1] * 8
    assert any(0 in trial.proposal.info["parents"] for trial in study.trials[9:])


def test_a_generation_of_failures_is_followed_by_random_ones():
    study = run_search(Nsga2(population_size=4), evaluator=SyntheticEvaluator(failing=1.0), trials=12)
    assert [trial.proposal.info["parents"] for trial in study.trials] == [[]] * 12
    assert study.trials[-1].proposal.info[GENERATION] == 2


@pytest.mark.parametrize("arguments", [{"population_size": 1}, {"crossover": 1.5}, {"mutation": -0.1}])
def test_impossible_numbers_are_refused(arguments):
    with pytest.raises(SpecError, match="nsga2"):
        Nsga2(**arguments)
