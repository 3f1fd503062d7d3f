"""The strategy: what reaches the study, what reaches the algorithm, and when it waits and ends."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from nasplug_qnas.algorithm import SETTINGS, QNASAlgorithm, QNASSettings
from nasplug_qnas.pareto import by_fronts
from nasplug_qnas.spaces import ConvSpace
from nasplug_qnas.strategy import QNAS

from nasplug.contract.errors import NasplugError, SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.protocols import Choice
from nasplug.contract.ranges import FloatRange
from nasplug.contract.records import Evaluation
from nasplug.ledger.rng import stream
from nasplug.spaces.choices import ChoiceSpace
from nasplug.testing import SyntheticEvaluator, SyntheticSpace, outcome, run_search


class Uneven(ChoiceSpace):
    """Choices of one, two and four options, one of them with its own prior."""

    def __init__(self):
        weights = (0.7, 0.1, 0.1, 0.1)
        super().__init__(
            "uneven", [Choice("a", (1,)), Choice("b", ("x", "y")), Choice("c", (False, True, None, 0.5), weights)]
        )

    def build(self, architecture, task):
        raise NotImplementedError


class CountsPools:
    """More pools are better, so that only the penalty keeps a search from them."""

    objectives = {"val_acc": "max"}  # noqa: RUF012

    @hookimpl
    def evaluate(self, run):
        trial = run.trial
        return Evaluation({"val_acc": 0.5 + 0.001 * sum("pool" in name for name in trial.architecture.genotype)})


def test_a_search_equals_the_algorithm_driven_by_hand():
    settings = QNASSettings(quantum_individuals=3, repetition=2, update_interval=1, update_rate=0.5)
    ranges = {"lr": FloatRange(0.001, 0.1)}
    strategy = QNAS(
        "cifar2022",
        hyperparameters={"lr": [0.001, 0.1]},
        evolution={
            "quantum_individuals": 3,
            "repetition": 2,
            "update_interval": 1,
            "update_rate": 0.5,
            "penalise_above": 0,
        },
    )
    study = run_search(strategy, trials=30, seed=3)
    algorithm = QNASAlgorithm([4] * 6, settings, ranges=ranges)
    for generation in range(5):
        candidates = algorithm.ask(stream(3, "qnas.ask", generation))
        trials = study.trials[6 * generation : 6 * generation + 6]
        assert [study.space.vector(trial.architecture) for trial in trials] == [each.genes for each in candidates]
        assert [trial.hyperparameters for trial in trials] == [each.hyperparameters for each in candidates]
        assert [trial.proposal.info["quantum_individual"] for trial in trials] == [0, 1, 2, 0, 1, 2]
        algorithm.tell([trial.metrics["val_acc"] for trial in trials], stream(3, "qnas.tell", generation))
    assert strategy.algorithm.state_dict() == algorithm.state_dict()


def test_it_starts_from_the_weights_of_any_choices():
    strategy = QNAS(evolution={"quantum_individuals": 40, "repetition": 5})
    study = run_search(strategy, space=Uneven(), trials=200)
    first = [trial.architecture.genotype[2] for trial in study.trials]
    assert first.count(False) / 200 == pytest.approx(0.7, abs=0.1)
    assert strategy.algorithm.nodes.choices == (1, 2, 4)


def test_it_learns_where_the_same_draws_without_updates_do_not():
    def late(**options):
        study = run_search(QNAS(evolution={"max_update": 0.3, **options}), trials=270)
        return np.mean([trial.metrics["val_acc"] for trial in study.trials[-45:]])

    assert late() > late(update_rate=0.0) + 0.1


def test_the_first_objective_is_minimised_where_asked():
    strategy = QNAS(evolution={"max_update": 0.3})
    study = run_search(strategy, objectives={"params": "min"}, trials=180)
    best = strategy.algorithm.survivors[0]
    assert -best.fitness == min(trial.values["params"] for trial in study.trials)


def test_a_generation_is_waited_for_whatever_the_batch():
    def proposals(batch):
        study = run_search(QNAS(evolution={"quantum_individuals": 3, "repetition": 1}), trials=12, batch=batch)
        return [trial.proposal.to_json() for trial in study.trials]

    assert proposals(1) == proposals(2) == proposals(50)


def test_failed_pruned_and_infeasible_trials_are_marked_as_failed():
    strategy = QNAS(evolution={"quantum_individuals": 10, "repetition": 2})
    evaluator = SyntheticEvaluator(failing=0.3, halting=0.1)
    study = run_search(strategy, evaluator=evaluator, constraints=["val_acc >= 0.6"], trials=20)
    lost = [not study.is_candidate(trial) for trial in study.trials]
    assert 0 < sum(trial.state == "failed" for trial in study.trials) < sum(lost) < 20
    assert strategy.algorithm.history[0].failed == sum(lost)
    assert [one.fitness is None for one in strategy.algorithm.survivors] == sorted(lost)


def test_enqueued_trials_are_no_part_of_a_generation():
    genotype = ["wide"] * 6
    with_others = run_search(QNAS(evolution={"quantum_individuals": 3, "repetition": 1}), enqueue=[genotype], trials=10)
    alone = run_search(QNAS(evolution={"quantum_individuals": 3, "repetition": 1}), trials=9)
    assert [t.proposal for t in with_others.trials[1:]] == [t.proposal for t in alone.trials]


def test_entropy_and_largest_probability_are_told_with_every_generation():
    strategy = QNAS(evolution={"quantum_individuals": 3, "repetition": 1, "max_update": 0.5})
    study = run_search(strategy, trials=30)
    info = [trial.proposal.info for trial in study.trials]
    assert info[0]["entropy"] == pytest.approx(math.log(4), abs=1e-6)
    assert info[0]["max_probability"] == 0.25
    for generation, record in enumerate(strategy.algorithm.history[:9]):
        told = info[3 * (generation + 1)]
        assert told["generation"] == generation + 1
        assert told["entropy"] == pytest.approx(record.entropy, abs=1e-6)
        assert told["max_probability"] == pytest.approx(record.max_probability, abs=1e-6)
    assert info[-1]["entropy"] < info[0]["entropy"]


def test_evolved_hyperparameters_stay_within_their_ranges_and_fixed_ones_are_passed_on():
    given = {"lr": [1e-4, 1e-1, "log"], "momentum": (0, 0.999), "optimizer": "sgd", "l2_all": True}
    study = run_search(QNAS(hyperparameters=given, evolution={"quantum_individuals": 20}), trials=100)
    rates = [trial.hyperparameters["lr"] for trial in study.trials]
    assert all(1e-4 <= rate <= 1e-1 for rate in rates)
    assert all(0 <= trial.hyperparameters["momentum"] <= 0.999 for trial in study.trials)
    assert {(t.hyperparameters["optimizer"], t.hyperparameters["l2_all"]) for t in study.trials} == {("sgd", True)}
    assert 0.2 < np.mean(np.array(rates[:20]) < 10**-2.5) < 0.8  # even in the logarithm
    assert QNAS(hyperparameters=given).hyperparameters == ("l2_all", "lr", "momentum", "optimizer")


def test_hyperparameters_that_the_task_does_not_take_are_refused_before_anything_runs():
    from nasplug_qnas.training.task import RecipeClassification

    with pytest.raises(NasplugError, match=r"'dekay'(.|\n)*'decay'"):
        run_search(QNAS(hyperparameters={"dekay": [0.1, 0.9]}), task=RecipeClassification())


@pytest.mark.parametrize("penalised", [True, False])
def test_the_preset_penalises_pools_beyond_three(penalised):
    strategy = QNAS("cifar2022", evolution=None if penalised else {"penalise_above": 0})
    run_search(strategy, space=ConvSpace(), evaluator=CountsPools(), trials=100)
    space = ConvSpace()
    pools = [
        sum("pool" in space.choices[0].options[gene] for gene in survivor.genes)
        for survivor in strategy.algorithm.survivors
    ]
    assert max(pools[:5]) <= 4 if penalised else min(pools[:5]) >= 7


def test_a_preset_drops_its_penalty_where_the_space_cannot_tell_and_a_wish_is_refused():
    strategy = QNAS("cifar2022")
    run_search(strategy, trials=1)
    assert strategy.algorithm.settings.penalise_above == 0
    with pytest.raises(SpecError, match="penalise_above is 2"):
        run_search(QNAS("cifar2022", evolution={"penalise_above": 2}), trials=1)


def test_it_ends_after_the_given_generations_or_when_the_best_fitness_stagnates():
    study = run_search(QNAS(max_generations=4, evolution={"quantum_individuals": 3}), trials=100)
    assert len(study.trials) == 12
    flat = SyntheticEvaluator()
    stopped = run_search(
        QNAS(evolution={"quantum_individuals": 3, "patience": 5, "min_gain": 10.0}), evaluator=flat, trials=100
    )
    assert len(stopped.trials) == 3 * 6


def test_several_objectives_rank_by_fronts_and_crowding():
    fitness = np.array([[0.0, 0.0], [3.0, 1.0], [2.0, 2.0], [1.9, 2.1], [1.0, 3.0], [2.5, 0.5]])
    assert by_fronts(fitness).tolist() == [1, 4, 2, 3, 5, 0]
    assert by_fronts(np.zeros((0, 2))).tolist() == []
    assert by_fronts(np.ones((3, 2))).tolist() == [0, 2, 1]
    strategy = QNAS(evolution={"max_update": 0.3})
    study = run_search(strategy, objectives={"val_acc": "max", "params": "min"}, trials=90)
    front = {(trial.values["val_acc"], -trial.values["params"]) for trial in study.pareto()}
    assert {tuple(one.fitness) for one in strategy.algorithm.survivors[:2]} <= front


def test_patience_with_several_objectives_is_refused():
    with pytest.raises(SpecError, match="patience"):
        run_search(QNAS(evolution={"patience": 3}), objectives={"val_acc": "max", "params": "min"}, trials=3)


def test_every_setting_can_be_given_over_the_preset():
    changes = {
        "quantum_individuals": 2,
        "repetition": 3,
        "crossover_rate": 0.1,
        "gene_crossover": "uniform",
        "gene_crossover_rate": 0.2,
        "sampling": "distributions",
        "redrawn": 0.7,
        "redraws": 3,
        "replacement": "elitism",
        "update_interval": 7,
        "update_rate": 0.3,
        "max_update": 0.04,
        "max_probability": 0.9,
        "guard": "clip",
        "penalise_above": 1,
        "penalty_weight": 0.5,
        "patience": 9,
        "min_gain": 0.25,
    }
    assert QNAS(evolution=changes).settings == QNASSettings(**changes)
    assert QNAS("table", evolution=QNASSettings(**changes)).settings == QNASSettings(**changes)
    assert QNAS("table", evolution={"patience": 9}).settings == replace(SETTINGS["table"], patience=9)
    assert set(changes) == set(QNASSettings.__dataclass_fields__)
    assert (QNAS().settings, QNAS("cifar2022").settings) == (SETTINGS["strong"], SETTINGS["cifar2022"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"preset": "cifar2020"}, "did you mean 'cifar2022'"),
        ({"max_generations": 0}, "max_generations"),
        ({"evolution": {"update_rate": 1.5}}, "update_rate"),
        ({"evolution": {"update_rat": 0.5}}, "did you mean 'update_rate'"),
        ({"hyperparameters": {"lr": [0.1]}}, r"hyperparameters.lr(.|\n)*without brackets"),
        ({"hyperparameters": {"lr": [0.1, 0.2, "log", 3]}}, "cannot read"),
        ({"hyperparameters": {"lr": {"low": 1}}}, "cannot read"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(NasplugError, match=message):
        QNAS(**arguments)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lr": [0.1, 0.01]}, "swap the bounds"),
        ({"lr": [0, 1, "log"]}, "above 0"),
        ({"lr": [0.1, 1, "lin"]}, "did you mean 'linear'|did you mean 'log'"),
    ],
)
def test_bad_ranges_are_refused_before_the_first_trial(given, message):
    with pytest.raises(SpecError, match=message):
        QNAS(hyperparameters=given)


def test_a_space_without_choices_is_refused():
    class Opaque:
        name = "opaque"

        def architecture(self, genotype):
            raise NotImplementedError

        validate = sample = build = architecture

    with pytest.raises(SpecError, match="HasVector"):
        run_search(QNAS(), space=Opaque(), trials=1)


def test_inside_successive_halving_a_generation_sees_the_lowest_rung():
    spec = {"asha": {"inner": {"qnas": {"evolution": {"quantum_individuals": 3}}}}}
    study = run_search(spec, trials=40)
    assert {trial.proposal.info["rung"] for trial in study.trials} >= {0, 1}
    fresh = [t.proposal.info["generation"] for t in study.trials if t.proposal.info["rung"] == 0]
    assert fresh == sorted(fresh)
    assert fresh[-1] > 3
    assert outcome(study) == outcome(run_search(spec, trials=40, shuffle=2))


def test_synthetic_space_is_fit_for_it():
    assert isinstance(SyntheticSpace(), ChoiceSpace)


def keys(study):
    return [(trial.architecture.key, tuple(sorted(trial.hyperparameters.items()))) for trial in study.trials]


@pytest.mark.parametrize("preset", ["strong", "table", "anchored"])
def test_no_candidate_comes_twice(preset):
    study = run_search(QNAS(preset), trials=90, batch=5)
    assert len(set(keys(study))) == 90


def test_published_presets_repeat_candidates():
    study = run_search(QNAS("segqnas2023"), space=SyntheticSpace(3), trials=63, batch=9, seed=1)
    other = run_search(QNAS("strong"), space=SyntheticSpace(3), trials=63, batch=9, seed=1)
    assert len(set(keys(study))) < len(set(keys(other)))


def test_a_space_that_is_exhausted_is_repeated():
    study = run_search(QNAS("strong"), space=SyntheticSpace(1), trials=18, batch=9)
    assert len(study.trials) == 18
    assert len(set(keys(study))) == 4


@pytest.mark.parametrize("preset", ["strong", "anchored"])
def test_what_was_enqueued_is_not_proposed_again(preset):
    first = run_search(QNAS(preset), trials=9, batch=9, seed=3).trials
    wanted = [list(trial.architecture.genotype) for trial in first[:4]]
    study = run_search(QNAS(preset), trials=13, batch=9, seed=3, enqueue=wanted)
    assert len(set(keys(study))) == 13


def test_same_networks_with_other_hyperparameters_are_no_repeats():
    strategy = QNAS("strong", hyperparameters={"lr": [0.1, 1.0]})
    study = run_search(strategy, space=SyntheticSpace(1), trials=18, batch=9)
    assert len({trial.architecture.key for trial in study.trials}) <= 4
    assert len(set(keys(study))) == 18
