"""What the built-in strategies do, beyond the rules for all strategies."""

from __future__ import annotations

import json

import numpy as np
import pytest

import nasplug as nas
from nasplug.builtin.random import RandomSearch
from nasplug.builtin.ranking import best_first, crowding_distance
from nasplug.builtin.regularized_evolution import RegularizedEvolution
from nasplug.builtin.successive_halving import Asha, SuccessiveHalving, rung_epochs
from nasplug.contract.errors import PluginError, SpecError
from nasplug.contract.records import Proposal, Trial
from nasplug.plugins.discovery import discover
from nasplug.run.assemble import compose
from nasplug.run.spec import RunSpec
from nasplug.testing import SyntheticCost, SyntheticEvaluator, SyntheticSpace, run_search
from nasplug.testing.synthetic import OPERATIONS, accuracy

SEEDS = range(10)


def clean_accuracy(study: nas.Study) -> float:
    """The noise-free value of what the search calls best, fully trained."""
    genotype = study.best.architecture.genotype
    return accuracy(tuple(OPERATIONS.index(operation) for operation in genotype), 9)


def epochs_spent(study: nas.Study) -> int:
    spent = 0
    for trial in study.trials:
        parent = trial.proposal.parent
        below = 0 if parent is None else study.budget_of(study.trial(parent)).epochs
        spent += 0 if trial.copied_from is not None else study.budget_of(trial).epochs - below
    return spent


def search(strategy, **options):
    return run_search(
        strategy,
        space=SyntheticSpace(length=10),
        evaluator=SyntheticEvaluator(noise=0.02),
        **{"trials": 200, **options},
    )


# -- regularized evolution -----------------------------------------------------------------------------------------


def test_evolution_beats_random_at_equal_evaluations():
    random = [clean_accuracy(search(RandomSearch(), seed=seed)) for seed in SEEDS]
    evolved = [clean_accuracy(search(RegularizedEvolution(), seed=seed)) for seed in SEEDS]
    assert np.mean(evolved) > np.mean(random) + 0.02
    assert sum(a > b for a, b in zip(evolved, random, strict=True)) >= 8


def test_evolution_begins_at_random_and_goes_on_with_mutants_of_the_recent_best():
    study = search(RegularizedEvolution(population_size=10, tournament_size=10), trials=80, batch=1)
    for trial in study.trials:
        if trial.number < 10:
            assert trial.proposal.info["origin"] == "random"
            continue
        # The tournament holds the whole population, so the parent is the best of the ten youngest.
        youngest = study.trials[trial.number - 10 : trial.number]
        parent = max(youngest, key=study.score)
        assert trial.proposal.info["parents"] == [parent.number]
        pairs = zip(trial.architecture.genotype, parent.architecture.genotype, strict=True)
        assert sum(a != b for a, b in pairs) == 1


def test_failed_and_stopped_trials_are_never_parents():
    evaluator = SyntheticEvaluator(failing=0.3, halting=0.3)
    study = run_search(RegularizedEvolution(8, 3), evaluator=evaluator, trials=120)
    parents = {number for trial in study.trials for number in trial.proposal.info.get("parents", ())}
    assert len(parents) > 5
    assert {study.trial(number).state for number in parents} == {"complete"}


def test_evolution_walks_into_a_small_feasible_region():
    """Of 4**10 architectures 286 are feasible; random search meets none in 300."""
    options = {"constraints": ["units <= 3"], "costs": {"units": SyntheticCost()}, "trials": 300, "seed": 1}
    assert search(RandomSearch(), **options).candidates() == []
    study = search(RegularizedEvolution(), **options)
    assert len(study.candidates()) > 20
    first = study.candidates()[0].number
    later = [n for t in study.trials if t.number > first + 3 for n in t.proposal.info.get("parents", ())]
    assert all(study.is_candidate(study.trial(number)) for number in later)


def test_crossover_takes_both_parents():
    study = search(RegularizedEvolution(10, 3, crossover=1.0), trials=60)
    children = [trial for trial in study.trials if trial.proposal.info["origin"] == "crossover"]
    assert len(children) == 60 - 10
    for child in children:
        first, second = (study.trial(number).architecture.genotype for number in child.proposal.info["parents"])
        strange = sum(c not in pair for c, *pair in zip(child.architecture.genotype, first, second, strict=True))
        assert strange <= 1  # the mutation that follows


def test_evolution_covers_a_front_of_two_objectives():
    objectives = {"val_acc": "max", "params": "min"}
    volumes = {
        name: np.mean(
            [
                search(make(), objectives=objectives, seed=seed).hypervolume({"val_acc": 0.0, "params": 640})
                for seed in range(3)
            ]
        )
        for name, make in {"random": RandomSearch, "evolved": RegularizedEvolution}.items()
    }
    assert volumes["evolved"] > 1.02 * volumes["random"]


def test_crossover_needs_a_space_that_crosses():
    class Mutating:
        name = "mutating"
        architecture = validate = sample = build = mutate = lambda self, *_: None

    with pytest.raises(SpecError, match="Crosses"):
        run_search(RegularizedEvolution(crossover=0.5), space=Mutating())


@pytest.mark.parametrize("arguments", [{"tournament_size": 99}, {"tournament_size": 0}, {"crossover": 1.5}])
def test_evolution_refuses_impossible_numbers(arguments):
    with pytest.raises(SpecError):
        RegularizedEvolution(**arguments)


# -- successive halving --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "epochs"),
    [
        ((3, 1, 9), [1, 3, 9]),
        ((3, 1, 10), [1, 3, 10]),
        ((2, 1, 10), [1, 2, 4, 10]),
        ((4, 2, 7), [2, 7]),
        ((3, 1, 2), [1, 2]),
        ((4, 1, 8), [1, 4, 8]),  # sqrt(4) exactly
        ((4, 1, 7), [1, 7]),
        ((9, 2, 6), [2, 6]),
    ],
)
def test_rungs(arguments, epochs):
    assert rung_epochs(*arguments) == epochs


def by_rung(study, bracket=None):
    rungs = {}
    for trial in study.trials:
        if bracket is None or trial.proposal.info["bracket"] == bracket:
            rungs.setdefault(trial.proposal.info["rung"], []).append(trial)
    return rungs


def test_a_synchronous_bracket_promotes_exactly_the_best_third():
    study = run_search(SuccessiveHalving(), trials=26, epochs=9)  # 9 + 3 + 1, twice
    for bracket in (0, 1):
        rungs = by_rung(study, bracket)
        assert {rung: len(trials) for rung, trials in rungs.items()} == {0: 9, 1: 3, 2: 1}
        for rung in (1, 2):
            best = sorted(rungs[rung - 1], key=study.score, reverse=True)[: len(rungs[rung])]
            assert {trial.proposal.parent for trial in rungs[rung]} == {trial.number for trial in best}
            assert {study.budget_of(trial).epochs for trial in rungs[rung]} == {3**rung}
            for trial in rungs[rung]:
                assert trial.architecture == study.trial(trial.proposal.parent).architecture


def test_asha_never_promotes_out_of_the_top_third_of_what_was_known():
    study = search(Asha(), batch=1, trials=120)
    promotions = [trial for trial in study.trials if trial.proposal.parent is not None]
    assert len(promotions) > 20
    for trial in promotions:
        rung = trial.proposal.info["rung"] - 1
        known = [t for t in study.trials[: trial.number] if t.proposal.info["rung"] == rung]
        top = sorted(known, key=study.score, reverse=True)[: len(known) // 3]
        assert trial.proposal.parent in {t.number for t in top}
    assert len({trial.proposal.parent for trial in promotions}) == len(promotions)


@pytest.mark.parametrize("make", [Asha, SuccessiveHalving])
def test_halving_spends_fewer_epochs_for_the_same_best(make):
    full = [search(RandomSearch(), trials=81, seed=seed) for seed in SEEDS]
    halved = [search(make(), trials=120, seed=seed) for seed in SEEDS]
    assert np.mean([epochs_spent(s) for s in halved]) < 0.35 * np.mean([epochs_spent(s) for s in full])
    assert np.mean([clean_accuracy(s) for s in halved]) > np.mean([clean_accuracy(s) for s in full]) - 0.01


class Recorder:
    """Random, and notes what it is shown."""

    hyperparameters = ("lr",)
    requires = (nas.Mutates,)

    def __init__(self):
        self.shown, self.proposed = [], []

    @nas.hookimpl
    def propose(self, study, count):
        first = study.proposed
        assert first == len(study.trials) + len(study.pending)
        self.proposed += range(first, first + count)
        rngs = [study.rng("recorder", first + offset) for offset in range(count)]
        return [study.proposal(study.space.sample(rng), {"lr": float(rng.random())}, turn=first) for rng in rngs]

    @nas.hookimpl
    def observe(self, trial):
        self.shown.append(trial)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_the_inner_strategy_sees_a_search_of_its_own(mode):
    recorder = Recorder()
    study = run_search(SuccessiveHalving(recorder, mode=mode), trials=60)
    lowest = [trial for trial in study.trials if trial.proposal.info["rung"] == 0]
    assert recorder.proposed == list(range(len(lowest)))
    assert [trial.number for trial in recorder.shown] == list(range(len(lowest)))
    for shown, real in zip(recorder.shown, lowest, strict=True):
        assert (shown.architecture, shown.metrics) == (real.architecture, real.metrics)
        assert set(shown.proposal.info) == {"turn"}
        assert shown.proposal.budget is None
    promoted = next(trial for trial in study.trials if trial.proposal.parent is not None)
    assert promoted.hyperparameters == study.trial(promoted.proposal.parent).hyperparameters
    assert SuccessiveHalving(recorder).requires == (nas.Mutates,)
    assert SuccessiveHalving(recorder).hyperparameters == ("lr",)


def test_random_inside_draws_what_random_outside_draws():
    inside = [t.architecture for t in run_search(Asha(), trials=60).trials if t.proposal.info["rung"] == 0]
    outside = [trial.architecture for trial in run_search(RandomSearch(), trials=len(inside)).trials]
    assert inside == outside


def test_an_inner_strategy_that_cannot_be_saved_is_replayed(tmp_path):
    assert not hasattr(Asha(Recorder()), "state_dict")
    assert json.loads(json.dumps(Asha().state_dict())) == {"inner": {"seen": []}}


def test_enqueued_trials_are_shown_to_the_inner_strategy_and_take_no_rung():
    recorder = Recorder()
    genotypes = [("wide",) * 6, ("skip",) * 6]
    study = run_search(Asha(recorder), trials=40, enqueue=genotypes)
    assert [trial.architecture.genotype for trial in recorder.shown[:2]] == genotypes
    assert not {0, 1} & {trial.proposal.parent for trial in study.trials}
    assert [study.budget_of(trial).epochs for trial in study.trials[:3]] == [9, 9, 1]


def test_copies_are_not_promoted_twice():
    study = run_search(Asha(RandomSearch(distinct=False)), space=SyntheticSpace(length=1), trials=60)
    assert any(trial.copied_from is not None for trial in study.trials)
    parents = [trial.proposal.parent for trial in study.trials if trial.proposal.parent is not None]
    assert parents
    assert all(study.trial(number).copied_from is None for number in parents)


def test_feasible_trials_are_promoted_first():
    options = {"constraints": ["params <= 60"], "trials": 150}
    study = run_search(SuccessiveHalving(size=27), **options)
    for bracket in range(3):
        rungs = by_rung(study, bracket)
        feasible = sum(study.is_candidate(trial) for trial in rungs[0])
        promoted = [study.is_candidate(study.trial(trial.proposal.parent)) for trial in rungs[1]]
        assert sum(promoted) == min(feasible, len(promoted))


def test_halving_inside_halving_is_refused():
    with pytest.raises(SpecError, match="continues trainings itself"):
        Asha(Asha())


def test_an_inner_strategy_that_sets_epochs_is_refused():
    class Long:
        @nas.hookimpl
        def propose(self, study):
            return [study.proposal(study.space.sample(study.rng("long", study.proposed)), epochs=50)]

    with pytest.raises(PluginError, match="epochs or a parent"):
        run_search(Asha(Long()))


@pytest.mark.parametrize(
    "arguments",
    [{"eta": 1}, {"min_epochs": 0}, {"max_epochs": 1}, {"mode": "both"}, {"size": 2}],
)
def test_halving_refuses_impossible_numbers(arguments):
    with pytest.raises(SpecError):
        SuccessiveHalving(**arguments)


def test_a_run_of_one_epoch_has_no_rungs():
    with pytest.raises(SpecError, match=r"budget\.epochs"):
        run_search("asha", epochs=1)


# -- as plugins ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "strategy",
    [
        "regularized_evolution",
        {"regularized_evolution": {"population_size": 16, "tournament_size": 4}},
        "successive_halving",
        {"successive_halving": {"inner": {"regularized_evolution": {"crossover": 0.5}}, "size": 12}},
        {"asha": {"inner": "random", "max_epochs": 27, "eta": 3}},
    ],
)
def test_specifications_name_them(strategy):
    data = {
        "space": {"class_path": "nasplug.testing.synthetic.SyntheticSpace"},
        "evaluator": {"class_path": "nasplug.testing.synthetic.SyntheticEvaluator"},
        "strategy": strategy,
        "budget": {"trials": 15, "epochs": 9},
    }
    assembly = compose(RunSpec.parse(data), discover().catalog)
    assert RunSpec.parse(assembly.spec.to_plain()) == assembly.spec
    assert assembly.keeps_checkpoints == (assembly.spec.strategy.name != "regularized_evolution")
    assert len(nas.run_spec(RunSpec.parse(data)).trials) == 15


# -- ranking -------------------------------------------------------------------------------------------------------


def test_crowding_distance_of_four_points():
    """Spans 3 and 6: the inner points have neighbours 2 apart in both, and 2 and 5 apart."""
    values = np.array([[0.0, 6.0], [1.0, 5.0], [2.0, 4.0], [3.0, 0.0]])
    assert crowding_distance(values).tolist() == pytest.approx([np.inf, 2 / 3 + 2 / 6, 2 / 3 + 5 / 6, np.inf])


def test_order_of_trials():
    space = SyntheticSpace()
    study = nas.Ledger.of(space, {"a": "max", "b": "min"}, constraints=["c <= 1"]).view
    values = {  # number: a, b, c
        0: (1.0, 1.0, 3.0),  # infeasible
        1: (0.5, 0.5, 1.0),  # dominated by 3
        2: (0.0, 0.0, 1.0),  # an end of the front
        3: (0.6, 0.4, 1.0),  # inside the front, crowded
        4: (0.7, 0.5, 1.0),  # inside the front, less crowded
        5: (1.0, 2.0, 1.0),  # the other end
        6: (9.0, 0.0, 1.5),  # infeasible by less
    }
    proposal = Proposal(space.architecture(("skip",) * 6))
    trials = [
        Trial(number, proposal, "complete", metrics=dict(zip("abc", row, strict=True)))
        for number, row in values.items()
    ]
    assert [trial.number for trial in best_first(study, trials)] == [2, 5, 4, 3, 1, 6, 0]
