"""The whole machine: against a plain transcription of the equations, across a resume, and on a synthetic landscape."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from nasplug_qnas.algorithm import SETTINGS, QNASAlgorithm, QNASSettings
from nasplug_qnas.functions import function_set

from nasplug.contract.errors import SpecError, StorageError
from nasplug.contract.ranges import FloatRange

RANGES = {
    "momentum": FloatRange(0.0, 0.999),
    "decay": FloatRange(0.1, 0.999),
    "weight_decay": FloatRange(1e-5, 1e-3),
}


def stream(seed, role, generation):
    return np.random.default_rng([seed, {"ask": 0, "tell": 1}[role], generation])


def matches(candidate, target):
    """Share of genes that agree, plus a little for a high momentum."""
    bonus = 0.01 * candidate.hyperparameters.get("momentum", 0.0)
    return float(np.mean(np.array(candidate.genes) == target)) + bonus


def evolve(algorithm, seed, generations, target):
    for _ in range(generations):
        generation = algorithm.generation
        candidates = algorithm.ask(stream(seed, "ask", generation))
        algorithm.tell([matches(each, target) for each in candidates], stream(seed, "tell", generation))
    return algorithm


def transcription(choices, settings, ranges, seed, generations, target):
    """Q-NAS in scalar loops, written from the equations, for equal numbers of choices and `best` replacement."""
    names = sorted(ranges)
    quantum, size, length, width = settings.quantum_individuals, settings.population, len(choices), len(names)
    prob = [[[1.0 / choices[n]] * choices[n] for n in range(length)] for _ in range(quantum)]
    lo = [[ranges[name].low for name in names] for _ in range(quantum)]
    up = [[ranges[name].high for name in names] for _ in range(quantum)]
    survivors = []
    for g in range(generations):
        rng = stream(seed, "ask", g)
        r = rng.random()
        draws, heights = rng.random((size, length)), rng.random((size, width))
        x, y = [], []
        for i in range(size):
            genes = []
            for n in range(length):
                total, gene = 0.0, 0
                for gene, p in enumerate(prob[i % quantum][n]):  # noqa: B007 - the gene at which the sum passes the draw
                    total += p
                    if draws[i, n] < total:
                        break
                genes.append(gene)
            x.append(genes)
            y.append(
                [lo[i % quantum][h] + heights[i, h] * (up[i % quantum][h] - lo[i % quantum][h]) for h in range(width)]
            )
        if g > 0:
            mask = rng.random((size, width))
            for i in range(size):
                for h in range(width):
                    if mask[i, h] < settings.crossover_rate:
                        y[i][h] += r * (survivors[i][2][h] - y[i][h])
        new = []
        for i in range(size):
            fitness = np.mean(np.array(x[i]) == target) + 0.01 * y[i][names.index("momentum")]
            new.append((fitness, x[i], y[i]))
        survivors = sorted(new + survivors, key=lambda one: -one[0])[:size]
        if g > 0 and g % settings.update_interval == 0:
            rng = stream(seed, "tell", g)
            mask = rng.random((quantum, length))
            for q in range(quantum):
                for n in range(length):
                    k, u = survivors[q][1][n], r * settings.max_update
                    if mask[q, n] < settings.update_rate and prob[q][n][k] + u <= settings.max_probability:
                        factor = 1 - u / (1 - prob[q][n][k])
                        prob[q][n] = [p + u if j == k else p * factor for j, p in enumerate(prob[q][n])]
            mask = rng.random((quantum, width))
            for q in range(quantum):
                for h, name in enumerate(names):
                    if mask[q, h] < settings.update_rate:
                        column = [one[2][h] for one in survivors]
                        w = max(column) - min(column)
                        lo[q][h] = max(lo[q][h] + r * (survivors[q][2][h] - w / 2 - lo[q][h]), ranges[name].low)
                        up[q][h] = min(up[q][h] + r * (survivors[q][2][h] + w / 2 - up[q][h]), ranges[name].high)
    return prob, lo, up, survivors


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_evolution_equals_a_plain_transcription_of_the_equations(seed):
    choices, target = [4, 6, 3, 5], np.array([1, 5, 0, 2])
    settings = QNASSettings(quantum_individuals=3, repetition=2, update_interval=2, update_rate=0.6, max_update=0.3)
    algorithm = evolve(QNASAlgorithm(choices, settings, ranges=RANGES), seed, 25, target)
    prob, lo, up, survivors = transcription(choices, settings, RANGES, seed, 25, target)
    for q in range(3):
        for n, count in enumerate(choices):
            np.testing.assert_allclose(algorithm.nodes.probabilities[q, n, :count], prob[q][n], rtol=1e-10)
    np.testing.assert_allclose(algorithm.pulses.lower, lo, rtol=1e-10)
    np.testing.assert_allclose(algorithm.pulses.upper, up, rtol=1e-10)
    assert [list(one.genes) for one in algorithm.survivors] == [one[1] for one in survivors]
    np.testing.assert_allclose([one.fitness for one in algorithm.survivors], [one[0] for one in survivors])


def test_candidates_carry_genes_hyperparameters_and_parents():
    algorithm = QNASAlgorithm([3] * 4, QNASSettings(quantum_individuals=2, repetition=3), ranges=RANGES)
    candidates = algorithm.ask(np.random.default_rng(0))
    assert [each.parent for each in candidates] == [0, 1, 0, 1, 0, 1]
    assert all(len(each.genes) == 4 and sorted(each.hyperparameters) == sorted(RANGES) for each in candidates)
    assert algorithm.pending == candidates


@pytest.mark.parametrize("interrupted_inside", [False, True])
@pytest.mark.parametrize("name", ["cifar2022", "strong", "table"])
def test_a_resumed_search_equals_an_uninterrupted_one(name, interrupted_inside):
    target = np.array([1, 0, 2, 1, 2])
    settings = dataclasses.replace(SETTINGS[name], gene_crossover="hux", penalise_above=1)

    def fresh():
        return QNASAlgorithm(
            [3] * 5,
            settings,
            ranges={**RANGES, "weight_decay": FloatRange(1e-5, 1e-3, log=True)},
            reduces=[False, True, False],
        )

    whole = evolve(fresh(), 7, 14, target)
    first = evolve(fresh(), 7, 6, target)
    if interrupted_inside:
        first.ask(stream(7, "ask", 6))
    stored = json.dumps(first.state_dict(), allow_nan=False)
    second = fresh()
    second.load_state_dict(json.loads(stored))
    assert json.dumps(second.state_dict()) == stored
    if interrupted_inside:
        second.tell([matches(each, target) for each in second.pending], stream(7, "tell", 6))
    evolve(second, 7, 14 - second.generation, target)
    assert second.state_dict() == whole.state_dict()
    assert second.survivors == whole.survivors


def test_state_holds_failures_without_nan():
    algorithm = QNASAlgorithm([2, 2], QNASSettings(quantum_individuals=2, repetition=1))
    algorithm.ask(np.random.default_rng(0))
    algorithm.tell([float("nan"), 0.5], np.random.default_rng(1), failed=[True, False])
    state = json.loads(json.dumps(algorithm.state_dict(), allow_nan=False))
    assert state["survivors"]["fitness"] == [0.5, None]
    again = QNASAlgorithm([2, 2], QNASSettings(quantum_individuals=2, repetition=1))
    again.load_state_dict(state)
    assert again.state_dict() == algorithm.state_dict()


def test_state_of_several_objectives_survives_a_generation_of_failures():
    def fresh():
        return QNASAlgorithm([2, 2], QNASSettings(2, 1), rank=lambda f: np.argsort(-f.sum(axis=1), kind="stable"))

    algorithm = fresh()
    algorithm.ask(np.random.default_rng(0))
    algorithm.tell(np.full((2, 2), np.nan), np.random.default_rng(1), failed=[True, True])
    again = fresh()
    again.load_state_dict(json.loads(json.dumps(algorithm.state_dict(), allow_nan=False)))
    again.ask(np.random.default_rng(2))
    record = again.tell([[0.1, 0.2], [0.3, 0.4]], np.random.default_rng(3))
    assert record.best == [0.3, 0.4]
    assert record.mean_fitness == pytest.approx([0.2, 0.3])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda s: s.update(version=0), "version"),
        (lambda s: s["settings"].update(update_rate=0.5), "update_rate was 0.5, is 0.1"),
        (lambda s: s["probabilities"].pop(), "quantum individuals"),
        (lambda s: s["probabilities"][0][0].__setitem__(0, 0.9), "sum to 1"),
        (lambda s: s.pop("history"), "history"),
        (lambda s: s.update(history=[]), "survivors"),
        (lambda s: s["pulses"]["lower"][0].__setitem__(0, 99.0), "inverted"),
        (lambda s: s["survivors"]["genes"].pop(), "stored"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(damage, message):
    settings = QNASSettings(quantum_individuals=2, repetition=2)
    stored = evolve(QNASAlgorithm([3] * 2, settings, ranges=RANGES), 0, 3, np.array([0, 1])).state_dict()
    stored = json.loads(json.dumps(stored))
    damage(stored)
    algorithm = evolve(QNASAlgorithm([3] * 2, settings, ranges=RANGES), 1, 2, np.array([0, 1]))
    before = algorithm.state_dict()
    with pytest.raises(StorageError, match=message):
        algorithm.load_state_dict(stored)
    assert algorithm.state_dict() == before


def test_failed_candidates_are_neither_targets_nor_part_of_the_spread():
    settings = QNASSettings(quantum_individuals=2, repetition=1, update_interval=1, update_rate=1.0, max_update=0.2)
    algorithm = QNASAlgorithm([4], settings, ranges={"x": FloatRange(0.0, 1.0)})
    for generation in range(2):
        algorithm.ask(stream(0, "ask", generation))
        algorithm.tell(
            [1.0 if generation == 0 else np.nan, np.nan], stream(0, "tell", generation), [generation > 0, True]
        )
    only = algorithm.survivors[0]
    assert (only.generation, only.index, only.fitness) == (0, 0, 1.0)
    assert algorithm.survivors[1].fitness is None
    r = algorithm.history[1].intensity
    assert algorithm.nodes.probabilities[0, 0, only.genes[0]] == pytest.approx(0.25 + 0.2 * r)
    assert algorithm.nodes.probabilities[1, 0].tolist() == [0.25] * 4
    # One measured survivor has no spread, so both ends move towards it; the second pulse has no target.
    assert algorithm.pulses.relative_width()[:, 0].tolist() == pytest.approx([1.0 - r, 1.0])
    assert [record.failed for record in algorithm.history] == [1, 2]


def test_a_search_in_which_everything_fails_goes_on():
    algorithm = QNASAlgorithm([3, 3], dataclasses.replace(SETTINGS["strong"], patience=2), ranges=RANGES)
    for generation in range(4):
        size = len(algorithm.ask(stream(0, "ask", generation)))
        record = algorithm.tell([np.nan] * size, stream(0, "tell", generation), [True] * size)
        assert (record.best, record.mean_fitness, record.failed) == (None, None, size)
    assert not algorithm.should_stop
    assert algorithm.nodes.probabilities == pytest.approx(np.full((9, 2, 3), 1 / 3))


def test_penalty_decides_selection_but_the_measured_fitness_is_kept():
    settings = QNASSettings(quantum_individuals=1, repetition=2, penalise_above=1)
    algorithm = QNASAlgorithm([2] * 4, settings, reduces=[False, True], initial=[[0.0, 1.0]] * 4)
    algorithm.ask(np.random.default_rng(0))
    record = algorithm.tell([0.5, 0.6], np.random.default_rng(1))
    assert record.best == pytest.approx(0.57)
    assert record.best_fitness == 0.6
    assert record.mean_fitness == pytest.approx(0.55)


def test_of_several_objectives_the_penalty_falls_on_the_first():
    settings = QNASSettings(quantum_individuals=1, repetition=2, penalise_above=1)
    algorithm = QNASAlgorithm(
        [2] * 4,
        settings,
        reduces=[False, True],
        initial=[[0.0, 1.0]] * 4,
        rank=lambda fitness: np.argsort(-fitness[:, 0], kind="stable"),
    )
    algorithm.ask(np.random.default_rng(0))
    record = algorithm.tell([[0.5, -1e6], [0.6, -2e6]], np.random.default_rng(1))
    assert record.best == pytest.approx([0.57, -2e6], abs=1e-12)


def test_updates_happen_at_multiples_of_the_interval_but_not_at_generation_zero():
    algorithm = evolve(QNASAlgorithm([3] * 3), 0, 16, np.zeros(3))
    assert [record.generation for record in algorithm.history if record.updated] == [5, 10, 15]


def test_stagnation_stops_only_when_asked_for():
    for patience, expected in ((0, False), (5, True)):
        algorithm = QNASAlgorithm([2], dataclasses.replace(QNASSettings(), patience=patience))
        for generation in range(7):
            assert not algorithm.should_stop or generation > 5
            algorithm.ask(stream(0, "ask", generation))
            algorithm.tell([0.5] * 20, stream(0, "tell", generation))
        assert algorithm.should_stop is expected


def test_asking_twice_or_telling_first_is_refused():
    algorithm = QNASAlgorithm([2])
    with pytest.raises(RuntimeError, match="call ask"):
        algorithm.tell([0.0] * 20, np.random.default_rng(0))
    algorithm.ask(np.random.default_rng(0))
    with pytest.raises(RuntimeError, match="generation 0 still waits"):
        algorithm.ask(np.random.default_rng(0))


def test_bad_fitness_is_refused_and_the_generation_stays_pending():
    algorithm = QNASAlgorithm([2], QNASSettings(quantum_individuals=2, repetition=1))
    algorithm.ask(np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"candidates \[1\] is not finite"):
        algorithm.tell([0.5, float("nan")], np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        algorithm.tell([0.5], np.random.default_rng(0))
    assert algorithm.pending is not None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quantum_individuals": 0}, "quantum_individuals"),
        ({"update_rate": 1.5}, "update_rate"),
        ({"replacement": "worst"}, "best, elitism"),
        ({"guard": "bounce"}, "skip, clip"),
        ({"gene_crossover": "two_point"}, "uniform"),
        ({"patience": -1}, "patience"),
    ],
)
def test_bad_settings_are_named(changes, message):
    with pytest.raises(SpecError, match=message):
        QNASSettings(**changes)


def test_a_penalty_without_knowledge_of_strides_is_refused():
    with pytest.raises(SpecError, match="reduces"):
        QNASAlgorithm([2], QNASSettings(penalise_above=3))


def run_on_strings(choices, settings, generations, seed, initial=None):
    target = np.array([np.random.default_rng([seed, 99]).integers(count) for count in choices])
    return evolve(QNASAlgorithm(choices, settings, initial=initial), seed, generations, target).history[-1]


def test_strong_updates_beat_random_sampling_at_equal_budget():
    settings = SETTINGS["strong"]
    found = [run_on_strings([39] * 10, settings, 100, seed) for seed in range(3)]
    sampled = [
        run_on_strings([39] * 10, dataclasses.replace(settings, update_rate=0.0), 100, seed) for seed in range(3)
    ]
    assert np.mean([record.best for record in found]) > np.mean([record.best for record in sampled]) + 0.3
    assert np.mean([record.max_probability for record in found]) > 0.5
    assert np.mean([record.entropy for record in found]) < 0.5 * np.log(39)


def test_published_cifar_updates_hardly_move_the_distributions():
    initial = function_set("conv11").probabilities
    settings = dataclasses.replace(SETTINGS["cifar2022"], penalise_above=0)
    found = [run_on_strings([11] * 20, settings, 100, seed, initial) for seed in range(3)]
    still = dataclasses.replace(settings, update_rate=0.0)
    sampled = [run_on_strings([11] * 20, still, 100, seed, initial) for seed in range(3)]
    # The largest starting probability is 1/3, of no_op; after 100 generations it still is, and so is the entropy.
    assert np.mean([record.max_probability for record in found]) == pytest.approx(1 / 3, abs=0.02)
    assert np.mean([record.entropy for record in found]) == pytest.approx(sampled[0].entropy, rel=0.05)
    assert abs(np.mean([record.best for record in found]) - np.mean([record.best for record in sampled])) < 0.1


def test_the_algorithm_needs_no_torch():
    code = "import nasplug_qnas.algorithm, nasplug_qnas.functions, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
