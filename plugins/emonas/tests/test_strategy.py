"""The strategy: that it is NSGA-II, what it does with trouble, and that it finds what random search does not."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from nasplug_emonas.evolution import Evolution, Individual
from nasplug_emonas.settings import SETTINGS, Settings
from nasplug_emonas.strategy import EMONAS
from pymoo.algorithms.moo.nsga2 import NSGA2, binary_tournament
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.operators.crossover.pntx import TwoPointCrossover
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.selection.tournament import TournamentSelection

import nasplug as nas
from nasplug.contract.errors import NasplugError, SpecError
from nasplug.testing import SyntheticCost, SyntheticEvaluator, SyntheticSpace, run_search

BOTH = {"val_acc": "max", "params": "min"}


def search(strategy, **options):
    return run_search(strategy, **{"objectives": BOTH, "epochs": 9, "batch": 20, **options})


def individuals(count, sizes, seed=0, violations=None):
    rng = np.random.default_rng(seed)
    return [
        Individual(
            tuple(int(rng.integers(size)) for size in sizes),
            (float(rng.random()), float(rng.random())),
            0.0 if violations is None else violations[i],
            i,
        )
        for i in range(count)
    ]


# -- the operators ---------------------------------------------------------------------------------------------------


def test_survival_keeps_fronts_first_and_breaks_ties_by_crowding():
    points = [(0.0, 4.0), (1.0, 1.0), (4.0, 0.0), (0.9, 1.2), (5.0, 5.0), (3.0, 3.0)]
    given = [Individual((i, 0), point, 0.0, i) for i, point in enumerate(points)]
    evolution = Evolution([9, 9], 2, Settings(population=3))
    kept = evolution.survive(evolution.population(given), np.random.default_rng(0))
    numbers = {one.get("individual").number for one in kept}
    assert {0, 2} < numbers < {0, 1, 2, 3}
    assert all(one.get("rank") == 0 for one in kept)


def test_survival_puts_violations_behind_everything_else():
    given = individuals(6, [9, 9], violations=[0.5, 0.0, 0.1, 0.0, 2.0, 0.3])
    given[2] = Individual(given[2].genes, None, 0.1, 2)  # rejected before it was measured
    evolution = Evolution([9, 9], 2, Settings(population=4))
    kept = evolution.survive(evolution.population(given), np.random.default_rng(0))
    assert [one.get("individual").number for one in kept][2:] == [2, 5]
    assert {one.get("individual").number for one in kept} == {1, 3, 2, 5}


def test_a_generation_is_what_a_matched_nsga2_of_pymoo_makes_of_the_same_population():
    sizes = [4] * 8
    given = individuals(20, sizes, seed=3)
    evolution = Evolution(sizes, 2, SETTINGS["nsganet_micro"])
    parents = evolution.survive(evolution.population(given), np.random.default_rng(1))
    ours = evolution.mate(parents, 20, np.random.default_rng(2), key=lambda genes: genes)

    algorithm = NSGA2(
        pop_size=40,
        n_offsprings=20,
        selection=TournamentSelection(func_comp=binary_tournament),
        crossover=TwoPointCrossover(prob=1.0),
        mutation=PM(eta=3, prob=1.0, prob_var=1 / 8),
        repair=RoundingRepair(),
        eliminate_duplicates=True,
    )
    problem = Problem(n_var=8, n_obj=2, xl=-0.5, xu=np.full(8, np.nextafter(3.5, 0)))
    algorithm.setup(problem)
    algorithm.random_state = np.random.default_rng(1)
    theirs = Population.new("X", np.array([one.genes for one in given]), "F", np.array([o.objectives for o in given]))
    algorithm.pop = algorithm.survival.do(problem, theirs, n_survive=20, random_state=algorithm.random_state)
    algorithm.random_state = np.random.default_rng(2)
    algorithm.is_initialized = True
    children = algorithm.ask()
    assert [tuple(child.X.tolist()) for child in children] == ours


def test_mutation_reaches_every_option_and_changes_one_gene_on_average():
    evolution = Evolution([5] * 10, 2, Settings(population=2))
    parent = Individual((2,) * 10, (0.0, 0.0), 0.0, 0)
    alone = evolution.survive(evolution.population([parent]), np.random.default_rng(0))
    rng = np.random.default_rng(0)
    # Equal parents: crossover changes nothing. Children equal to the parent are told apart by a counter.
    counter = iter(range(10**6))
    children = np.array(evolution.mate(alone, 4000, rng, key=lambda genes: next(counter)))
    assert set(np.unique(children)) == {0, 1, 2, 3, 4}
    # A gene is mutated with probability 1/10 and rounds back to itself in a part of the cases.
    changed = (children != 2).mean()
    assert 0.04 < changed < 0.1
    low, high = (children < 2).mean(), (children > 2).mean()
    assert low == pytest.approx(high, rel=0.15)


def test_crossover_swaps_one_stretch_of_every_pair():
    evolution = Evolution([100] * 12, 2, Settings(population=2, eta=100))
    two = [Individual((0,) * 12, (0.0, 1.0), 0.0, 0), Individual((99,) * 12, (1.0, 0.0), 0.0, 1)]
    parents = evolution.survive(evolution.population(two), np.random.default_rng(0))
    children = evolution.mate(parents, 200, np.random.default_rng(0), key=lambda genes: genes)
    cuts = [int((np.diff([int(gene > 50) for gene in child]) != 0).sum()) for child in children]
    assert max(cuts) == 2
    assert np.mean(np.array(cuts) > 0) > 0.4  # the rest had equal parents


def test_one_and_two_genes_can_be_mated():
    for sizes in ([5], [3, 1]):
        evolution = Evolution(sizes, 1, Settings(population=2))
        given = [Individual(tuple(0 for _ in sizes), (0.0,), 0.0, 0)]
        parents = evolution.survive(evolution.population(given), np.random.default_rng(0))
        children = evolution.mate(parents, 2, np.random.default_rng(0), key=lambda genes: genes)
        assert {child[0] for child in children} <= set(range(1, sizes[0]))
        assert children


# -- the search ------------------------------------------------------------------------------------------------------


def test_presets():
    assert (SETTINGS["thesis"].population, SETTINGS["thesis"].offspring) == (20, 20)
    assert (SETTINGS["nsganet_macro"].population, SETTINGS["nsganet_macro"].offspring) == (40, 40)
    assert (SETTINGS["nsganet_micro"].population, SETTINGS["nsganet_micro"].offspring) == (40, 20)
    assert {settings.eta for settings in SETTINGS.values()} == {3.0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"preset": "thesys"}, "did you mean 'thesis'"),
        ({"population": 1}, "population is 1"),
        ({"offspring": 0}, "offspring is 0"),
        ({"eta": 0.5}, "eta is 0.5"),
        ({"distinct": "genotypes"}, "did you mean 'genotype'"),
        ({"max_generations": 0}, "max_generations"),
        ({"crossover_points": 0}, "crossover_points"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(NasplugError, match=message):
        EMONAS(**arguments)


def test_generations_have_their_sizes_and_wait_for_each_other_whatever_the_batch():
    def proposals(batch):
        study = search(EMONAS(population=8, offspring=5), trials=30, batch=batch)
        return [trial.proposal.to_json() for trial in study.trials]

    assert proposals(1) == proposals(3) == proposals(50)
    info = [proposal["info"] for proposal in proposals(8)]
    assert [entry["generation"] for entry in info[:20]] == [0] * 8 + [1] * 5 + [2] * 5 + [3] * 2
    assert {entry["origin"] for entry in info[:8]} == {"random"}
    assert {entry["origin"] for entry in info[8:]} == {"offspring"}


def test_hundred_trials_are_hundred_networks():
    study = search(EMONAS(), trials=100)
    assert len({trial.architecture.key for trial in study.trials}) == 100
    assert all(trial.copied_from is None for trial in study.trials)


def test_only_the_population_and_siblings_are_told_apart_in_nsganet():
    study = search(EMONAS("nsganet_micro", population=6, offspring=6), space=SyntheticSpace(3), trials=120)
    by_generation = {}
    for trial in study.trials:
        by_generation.setdefault(trial.proposal.info["generation"], []).append(trial.architecture.key)
    assert all(len(set(keys)) == len(keys) for keys in by_generation.values())
    assert len({trial.architecture.key for trial in study.trials}) < 120


def test_the_search_ends_when_nothing_new_is_found_or_when_told_to():
    used_up = search(EMONAS(population=4, offspring=4), space=SyntheticSpace(2), trials=100)
    assert 12 <= len({trial.architecture.key for trial in used_up.trials}) == len(used_up.trials) <= 16
    assert len(search(EMONAS(population=6, offspring=4, max_generations=3), trials=100).trials) == 6 + 2 * 4
    assert len(search(EMONAS(population=6, offspring=1, max_generations=3), trials=100).trials) == 6 + 2


def test_the_steady_state_breeds_from_all_that_is_measured():
    study = search(EMONAS(population=10, offspring=1), trials=60, batch=3)
    origins = [trial.proposal.info["origin"] for trial in study.trials]
    assert origins == ["random"] * 10 + ["offspring"] * 50
    strategy = EMONAS(population=10, offspring=1)
    search(strategy, trials=60, batch=1)
    assert strategy.generation == 60
    assert len(strategy.survivors) == 10


def test_parents_are_never_trials_that_failed_or_were_stopped():
    strategy = EMONAS(population=10, offspring=10)
    study = search(strategy, evaluator=SyntheticEvaluator(failing=0.3, halting=0.2), trials=70)
    states = {trial.state for trial in study.trials}
    assert states == {"complete", "failed", "pruned"}
    assert {study.trial(number).state for number in strategy.survivors} == {"complete"}
    keys = [trial.architecture.key for trial in study.trials if trial.state == "failed"]
    assert len(set(keys)) == len(keys)


def test_a_search_that_starts_outside_the_constraints_walks_into_them():
    strategy = EMONAS(population=10, offspring=10)
    study = search(strategy, constraints=["units <= 3"], costs={"units": SyntheticCost()}, trials=150)
    first = [study.violation(trial) for trial in study.trials[:10]]
    assert min(first) > 0
    assert len(study.candidates()) > 10
    assert all(study.violation(study.trial(number)) == 0 for number in strategy.survivors)


def test_enqueued_architectures_join_the_population():
    strategy = EMONAS(population=6, offspring=6)
    study = search(strategy, enqueue=[["skip"] * 6, ["wide"] * 6], trials=8)
    assert 0 in strategy.survivors  # the smallest of all is in the first front
    assert strategy.generation == 1
    assert [trial.proposal.info.get("generation") for trial in study.trials] == [None] * 2 + [0] * 6


def test_one_objective_is_a_genetic_algorithm():
    best = search(EMONAS(population=10, offspring=10), objectives={"params": "min"}, trials=150).best
    assert best.values["params"] <= 12


def test_the_archive_is_the_answer():
    strategy = EMONAS(population=4, offspring=4)
    study = search(strategy, trials=80)
    assert len(study.pareto()) > 4 >= len(strategy.survivors)
    assert set(strategy.survivors) <= {trial.number for trial in study.trials}


def test_it_is_ahead_of_random_search():
    def volume(strategy, seed):
        study = search(strategy, epochs=1, trials=240, seed=seed, space=SyntheticSpace(12))
        return study.hypervolume({"val_acc": 0.4, "params": 384.0})

    ours = np.mean([volume(EMONAS(), seed) for seed in range(3)])
    theirs = np.mean([volume("random", seed) for seed in range(3)])
    assert ours > 1.04 * theirs


def test_inside_successive_halving():
    spec = {"asha": {"inner": {"emonas": {"population": 4, "offspring": 4}}}}
    study = run_search(spec, trials=40)
    fresh = [t.proposal.info["generation"] for t in study.trials if t.proposal.info["rung"] == 0]
    assert fresh == sorted(fresh)
    assert fresh[-1] > 1


def test_a_space_without_choices_is_refused():
    class Opaque:
        name = "opaque"

        def architecture(self, genotype):
            raise NotImplementedError

        validate = sample = build = architecture

    with pytest.raises(SpecError, match="HasVector"):
        run_search(EMONAS(), space=Opaque(), trials=1)


def test_a_tournament_of_violations_is_won_by_the_smaller_one():
    given = individuals(2, [9], violations=[0.5, 0.1])
    evolution = Evolution([9], 2, Settings(population=2))
    parents = evolution.survive(evolution.population(given), np.random.default_rng(0))
    around = SimpleNamespace(tournament_type="comp_by_dom_and_crowding", random_state=np.random.default_rng(0))
    winner = binary_tournament(parents, np.array([[0, 1]]), algorithm=around)
    assert parents[winner[0, 0]].get("individual").violation == 0.1


def test_a_spread_start_has_sparse_and_dense_networks():
    """Shares of ones of the first generation: fair coins stay near one half, a spread start does not."""
    shares = {}
    for start in ("prior", "spread"):
        space = Bits(24)
        study = run_search(EMONAS(start=start, population=40), space=space, trials=40)
        shares[start] = np.array([np.mean(space.vector(trial.architecture)) for trial in study.trials])
    assert shares["spread"].std() > 1.6 * shares["prior"].std()
    assert shares["spread"].min() < 0.2
    assert 0.3 < shares["spread"].mean() < 0.5


def test_a_spread_start_leaves_other_genes_to_the_prior():
    settings = {"start": "spread", "population": 6}
    spread, prior = (run_search(EMONAS(**(settings | more)), trials=6) for more in ({}, {"start": "prior"}))
    assert len({trial.architecture.key for trial in spread.trials}) == 6  # operations, of which there are four
    assert prior.trials[0].architecture == spread.trials[0].architecture


@pytest.mark.parametrize("offspring", [6, 1])
def test_members_of_the_first_front_are_measured_again_and_averaged(offspring):
    strategy = EMONAS(population=6, offspring=offspring, reevaluate=2)
    study = run_search(
        strategy,
        trials=48,
        batch=6,
        objectives={"val_acc": "max", "params": "min"},
        evaluator=SyntheticEvaluator(noise=0.05),
    )
    again = [trial for trial in study.trials if trial.proposal.info["origin"] == "again"]
    assert 6 <= len(again) <= 14
    for trial in again:
        earlier = [t for t in study.trials[: trial.number] if t.architecture == trial.architecture]
        assert earlier
        assert trial.seed not in {t.seed for t in earlier}
        assert trial.copied_from is None
    measured = {}
    for trial in study.trials:
        measured.setdefault(trial.architecture.key, []).append(-trial.values["val_acc"])
    for one in strategy._members():
        trial = study.trial(one.number)
        assert one.objectives[0] == pytest.approx(np.mean(measured[trial.architecture.key]))


@pytest.mark.parametrize(("name", "value"), [("start", "dense"), ("reevaluate", 20), ("reevaluate", -1)])
def test_refuses_other_starts_and_too_many_elites(name, value):
    with pytest.raises(SpecError, match=f"{name} is"):
        EMONAS(**{name: value})


class Bits(nas.ChoiceSpace):
    """Independent bits."""

    def __init__(self, length):
        super().__init__("bits", [nas.Choice(f"bit{i}", (0, 1)) for i in range(length)])

    def build(self, architecture, task):
        raise NotImplementedError
