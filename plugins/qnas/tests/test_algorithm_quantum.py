"""Probability mass functions: hand-computed updates, bounds, and the mapping from quantum to classical individuals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nasplug_qnas.algorithm import QuantumNodes

from nasplug.contract.errors import SpecError


class FixedDraws:
    """Stands in for a generator and returns chosen uniform numbers."""

    def __init__(self, values):
        self.values = np.asarray(values, dtype=float)

    def random(self, size):
        assert tuple(size) == self.values.shape
        return self.values


def nodes_with(vector):
    return QuantumNodes(1, [len(vector)], vector)


def updated(vector, gene, intensity, **options):
    nodes = nodes_with(vector)
    nodes.update(np.array([[gene]]), intensity, np.random.default_rng(0), rate=1.0, **options)
    return nodes.probabilities[0, 0]


def test_update_moves_probability_by_hand_computed_amounts():
    # u = 0.8 * 0.05 = 0.04; the others shrink by 1 - 0.04 / 0.7.
    np.testing.assert_allclose(updated([0.2, 0.3, 0.5], 1, 0.8), [0.2 * 0.66 / 0.7, 0.34, 0.5 * 0.66 / 0.7], rtol=1e-14)


def test_update_without_intensity_changes_nothing():
    assert updated([0.2, 0.3, 0.5], 1, 0.0).tolist() == [0.2, 0.3, 0.5]


def test_update_that_would_pass_the_bound_is_skipped_as_published():
    assert updated([0.97, 0.02, 0.01], 0, 0.8).tolist() == [0.97, 0.02, 0.01]


def test_clip_guard_moves_exactly_to_the_bound():
    np.testing.assert_allclose(
        updated([0.97, 0.02, 0.01], 0, 0.8, guard="clip"), [0.99, 0.02 / 3, 0.01 / 3], rtol=1e-12
    )


def test_clip_guard_never_pulls_down_what_starts_above_the_bound():
    assert updated([0.995, 0.005], 0, 1.0, guard="clip").tolist() == [0.995, 0.005]


@pytest.mark.parametrize("guard", ["skip", "clip"])
def test_a_certain_choice_does_not_divide_by_zero(guard):
    with np.errstate(all="raise"):
        assert updated([1.0, 0.0], 0, 1.0, guard=guard, max_probability=1.0).tolist() == [1.0, 0.0]
        assert updated([1.0, 0.0], 1, 1.0, guard=guard, max_probability=1.0).tolist() == [0.95, 0.05]
        # 1 + 1e-18 is 1 in floating point, so the bound alone would let this update through.
        assert updated([1.0, 0.0], 0, 2e-17, guard="skip", max_probability=1.0).tolist() == [1.0, 0.0]


def test_only_selected_nodes_of_active_individuals_change():
    nodes = QuantumNodes(2, [2, 2])
    draws = FixedDraws([[0.05, 0.5], [0.05, 0.05]])
    nodes.update(np.zeros((2, 2), dtype=np.int64), 1.0, draws, rate=0.1, active=np.array([True, False]))
    np.testing.assert_allclose(nodes.probabilities, [[[0.55, 0.45], [0.5, 0.5]], [[0.5, 0.5], [0.5, 0.5]]])


def test_classical_individual_i_is_observed_from_quantum_individual_i_mod_q():
    nodes = QuantumNodes(3, [3, 3])
    for q in range(3):
        nodes.probabilities[q] = np.eye(3)[[q, q]]
    genes = nodes.observe(np.random.default_rng(0), repetition=4)
    assert genes.tolist() == [[i % 3, i % 3] for i in range(12)]


def test_observation_follows_the_cumulative_probabilities():
    nodes = QuantumNodes(1, [3], [0.2, 0.3, 0.5])
    draws = FixedDraws([[0.0], [0.1999], [0.2], [0.4999], [0.5], [np.nextafter(1.0, 0.0)]])
    assert nodes.observe(draws, repetition=6)[:, 0].tolist() == [0, 0, 1, 1, 2, 2]


def test_a_choice_of_probability_zero_is_never_observed():
    nodes = QuantumNodes(1, [4, 2], [[0.0, 0.7, 0.3, 0.0], [0.5, 0.5]])
    extremes = FixedDraws([[0.0, 0.0], [np.nextafter(1.0, 0.0)] * 2])
    assert nodes.observe(extremes, repetition=2).tolist() == [[1, 0], [2, 1]]


def test_observed_frequencies_match_the_probabilities():
    vector = np.array([0.5, 0.25, 0.15, 0.1])
    genes = QuantumNodes(2, [4], vector).observe(np.random.default_rng(1), repetition=5000)[:, 0]
    np.testing.assert_allclose(np.bincount(genes, minlength=4) / len(genes), vector, atol=0.02)


def test_entropy_is_in_nats_and_ignores_padding():
    nodes = QuantumNodes(1, [2, 4, 3], [[0.5, 0.5], [0.25] * 4, [1.0, 0.0, 0.0]])
    np.testing.assert_allclose(nodes.entropy(), [[math.log(2), math.log(4), 0.0]], rtol=1e-15)
    assert nodes.max_probability().tolist() == [[0.5, 0.25, 1.0]]


@settings(max_examples=60, deadline=None)
@given(
    choices=st.lists(st.integers(1, 7), min_size=1, max_size=5),
    quantum=st.integers(1, 4),
    guard=st.sampled_from(["skip", "clip"]),
    bound=st.floats(0.5, 1.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_rows_sum_to_one_and_stay_in_bounds(choices, quantum, guard, bound, seed):
    rng = np.random.default_rng(seed)
    nodes = QuantumNodes(quantum, choices, [rng.dirichlet(np.ones(count)) for count in choices])
    limit = np.maximum(nodes.probabilities, bound).max(axis=2)
    for _ in range(30):
        best = np.stack([[rng.integers(count) for count in choices] for _ in range(quantum)])
        nodes.update(best, rng.random(), rng, rate=0.8, max_update=0.3, max_probability=bound, guard=guard)
        np.testing.assert_allclose(nodes.probabilities.sum(axis=2), 1.0, rtol=0, atol=1e-12)
        assert np.all(nodes.probabilities >= 0.0)
        assert np.all(nodes.max_probability() <= limit + 1e-12)
        for node, count in enumerate(choices):
            assert np.all(nodes.probabilities[:, node, count:] == 0.0)
        assert np.all(nodes.observe(rng, 3) < np.asarray(choices))


@pytest.mark.parametrize(
    ("choices", "initial", "message"),
    [
        ([], None, "at least one node"),
        ([3, 0], None, "node 1"),
        ([3], [0.5, 0.5], "3 choices"),
        ([2], [0.5, 0.6], "sum to 1"),
        ([2], [1.5, -0.5], "negative"),
        ([2], [float("nan"), 1.0], "sum to 1"),
        ([2, 2], [[0.5, 0.5]], "2 nodes, got 1"),
    ],
)
def test_bad_arguments_are_named(choices, initial, message):
    with pytest.raises(SpecError, match=message):
        QuantumNodes(1, choices, initial)


def test_a_sum_that_misses_one_by_rounding_is_accepted_and_scaled():
    nodes = QuantumNodes(1, [3], [1 / 3 + 1e-9, 1 / 3, 1 / 3])
    assert nodes.probabilities.sum() == pytest.approx(1.0, abs=1e-15)


def test_update_refuses_a_gene_outside_its_node():
    nodes = QuantumNodes(1, [2, 3])
    with pytest.raises(ValueError, match="outside the choices"):
        nodes.update(np.array([[2, 2]]), 0.5, np.random.default_rng(0), rate=1.0)


@pytest.mark.parametrize("count", [3, 6, 7, 10, 11, 13, 49])
def test_the_largest_draw_is_the_last_choice(count):
    """Sums of many equal shares are not exactly 1; no draw may fall between the two."""

    class Largest:
        def random(self, shape):
            return np.full(shape, np.nextafter(1.0, 0.0))

    nodes = QuantumNodes(2, [count, 2])
    genes = nodes.observe(Largest(), 3)
    assert genes.shape == (6, 2)
    assert (genes == [count - 1, 1]).all()
