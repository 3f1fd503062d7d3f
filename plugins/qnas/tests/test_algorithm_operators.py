"""Crossover, penalty, replacement and stopping, each on its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nasplug_qnas.algorithm import Population, stagnated
from nasplug_qnas.algorithm.crossover import gene_crossover, numeric_crossover
from nasplug_qnas.algorithm.penalty import reduction_penalty, reduction_table
from nasplug_qnas.algorithm.selection import best_survive, elite_survives
from nasplug_qnas.functions import function_set

from nasplug.contract.errors import SpecError


def population(fitness, generation, failed=None):
    size = len(fitness)
    fitness = np.array(fitness, dtype=float)
    failed = np.zeros(size, dtype=bool) if failed is None else np.array(failed)
    born = np.column_stack([np.full(size, generation), np.arange(size)])
    return Population(np.zeros((size, 2), dtype=np.int64), np.zeros((size, 0)), fitness, fitness, failed, born)


def identities(individuals):
    return [tuple(row) for row in individuals.born.tolist()]


def test_numeric_crossover_moves_towards_the_survivor_of_the_same_row():
    new, old = np.array([[1.0, 10.0], [2.0, 20.0]]), np.array([[3.0, 0.0], [2.0, 40.0]])
    crossed = numeric_crossover(new, old, 0.25, np.random.default_rng(0), rate=1.0)
    assert crossed.tolist() == [[1.5, 7.5], [2.0, 25.0]]


def test_numeric_crossover_keeps_rate_and_skips_failed_mates():
    new, old = np.zeros((2000, 1)), np.ones((2000, 1))
    crossed = numeric_crossover(new, old, 1.0, np.random.default_rng(0), rate=0.3)
    assert crossed.mean() == pytest.approx(0.3, abs=0.04)
    assert numeric_crossover(new, old, 1.0, np.random.default_rng(0), rate=1.0, usable=np.zeros(2000, bool)).sum() == 0


def test_gene_crossover_is_off_by_default_name():
    new = np.array([[0, 1]])
    assert gene_crossover(new, new + 1, "none", np.random.default_rng(0), rate=1.0) is new


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), nodes=st.integers(1, 12))
def test_hux_takes_half_of_the_differing_genes(seed, nodes):
    rng = np.random.default_rng(seed)
    new, old = rng.integers(3, size=(6, nodes)), rng.integers(3, size=(6, nodes))
    child = gene_crossover(new, old, "hux", rng, rate=1.0)
    differing = (new != old).sum(axis=1)
    assert ((child != new).sum(axis=1) == differing // 2).all()
    assert ((child == new) | (child == old)).all()


def test_uniform_crossover_takes_each_gene_with_even_odds():
    new, old = np.zeros((200, 30), dtype=np.int64), np.ones((200, 30), dtype=np.int64)
    usable = np.arange(200) < 100
    child = gene_crossover(new, old, "uniform", np.random.default_rng(0), rate=1.0, usable=usable)
    assert child[:100].mean() == pytest.approx(0.5, abs=0.05)
    assert child[100:].sum() == 0


def test_penalty_counts_reducing_genes_beyond_the_limit():
    functions = function_set("conv11")
    table = reduction_table([len(functions)] * 5, functions.reduces)
    genes = np.array(
        [
            functions.encode(["max_pool_2_2"] * 5),
            functions.encode(["max_pool_2_2", "avg_pool_2_2", "no_op", "conv_3_1_64", "avg_pool_2_2"]),
            functions.encode(["no_op"] * 5),
        ]
    )
    np.testing.assert_allclose(reduction_penalty(genes, table, 3), [0.02, 0.0, 0.0])
    np.testing.assert_allclose(reduction_penalty(genes, table, 1), [0.04, 0.02, 0.0])
    np.testing.assert_allclose(reduction_penalty(genes, table, 1, weight=0.1), [0.4, 0.2, 0.0])


def test_a_limit_of_zero_turns_the_penalty_off():
    table = reduction_table([2, 2], [True, True])
    assert reduction_penalty(np.zeros((1, 2), dtype=np.int64), table, 0).tolist() == [0.0]


def test_reduction_flags_may_differ_between_nodes():
    table = reduction_table([2, 3], [[False, True], [True, False, False]])
    assert table.tolist() == [[False, True, False], [True, False, False]]
    with pytest.raises(SpecError, match="node 1"):
        reduction_table([2, 3], [[False, True], [True]])


def test_best_survive_merges_generations_by_fitness():
    survivors = best_survive(population([0.5, 0.9, 0.1], 1), population([0.8, 0.6, 0.2], 0))
    assert identities(survivors) == [(1, 1), (0, 0), (0, 1)]


def test_ties_prefer_the_newer_generation_then_the_lower_index():
    survivors = best_survive(population([0.5, 0.7, 0.5], 1), population([0.7, 0.5, 0.5], 0))
    assert identities(survivors) == [(1, 1), (0, 0), (1, 0)]


def test_failed_individuals_rank_behind_the_worst_measurement():
    new = population([np.nan, -5.0, np.nan], 1, failed=[True, False, True])
    old = population([-1.0, -2.0, np.nan], 0, failed=[False, False, True])
    assert identities(best_survive(new, old)) == [(0, 0), (0, 1), (1, 1)]
    survivors = best_survive(population([np.nan] * 2, 1, failed=[True] * 2), population([np.nan] * 2, 0, [True] * 2))
    assert survivors.failed.all()


def test_elitism_keeps_one_old_individual_and_orders_by_fitness():
    new, old = population([0.1, 0.3, 0.2], 1), population([0.9, 0.8, 0.7], 0)
    assert identities(elite_survives(new, old)) == [(0, 0), (1, 1), (1, 2)]
    better = population([0.95, 0.3, 0.2], 1)
    assert identities(elite_survives(better, old)) == [(1, 0), (0, 0), (1, 1)]


def test_a_ranking_function_orders_several_objectives():
    new, old = population([[1.0, 0.0], [0.0, 3.0]], 1), population([[2.0, 2.0], [0.0, 0.0]], 0)
    survivors = best_survive(new, old, rank=lambda fitness: np.argsort(-fitness.sum(axis=1), kind="stable"))
    assert identities(survivors) == [(0, 0), (1, 1)]
    with pytest.raises(SpecError, match="2 objectives"):
        best_survive(new, old)


@pytest.mark.parametrize(
    ("best", "window", "expected"),
    [
        ([0.5] * 5, 0, False),
        ([0.5] * 4, 4, False),
        ([0.5] * 5, 4, True),
        ([0.500, 0.501, 0.502, 0.503, 0.504], 4, False),  # each step is below 0.5 %, the window is not
        ([0.5, 0.6, 0.6, 0.6, 0.6, 0.6], 4, True),
        ([-1.0, -1.0, -0.9], 2, False),
        ([0.0, 0.0, 0.0], 2, True),
        ([None, None, 0.5, 0.5], 2, False),
        ([None, 0.5, 0.5, 0.5], 2, True),
    ],
)
def test_stagnation_is_measured_from_the_start_of_the_window(best, window, expected):
    assert stagnated(best, window) is expected


def test_stagnation_refuses_negative_windows():
    with pytest.raises(SpecError, match="negative"):
        stagnated([0.5], -1)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("genes", [[0, 0, 0], [0, 0, 0]], "the stored genes must have shape (2, 2)"),
        ("numeric", [[0.5, 1.0], [0.5, 1.0]], "the stored numeric genes must have shape (2, 1)"),
        ("numeric", [[], []], "the stored numeric genes must have shape (2, 1)"),
        ("born", [[0, 1, 2], [0, 1, 2]], "the stored identifiers must have shape (2, 2)"),
        ("fitness", [1.0], "not as many fitness values"),
        ("penalised", [1.0, 2.0, 3.0], "not as many fitness values"),
    ],
)
def test_a_stored_population_of_another_shape_is_refused(field, value, said):
    state = {
        **{"genes": [[0, 1], [1, 0]], "numeric": [[0.5], [0.25]], "fitness": [1.0, None], "penalised": [0.5, None]},
        **{"objectives": [], "born": [[0, 0], [0, 1]]},
    }
    restored = Population.from_state_dict(state, 2, 1)
    assert restored.state_dict() == state
    with pytest.raises(ValueError, match="Q-NAS") as caught:
        Population.from_state_dict({**state, field: value}, 2, 1)
    assert said in str(caught.value)
