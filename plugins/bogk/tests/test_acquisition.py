"""Acquisition functions, and the pool that they choose from."""

from __future__ import annotations

import numpy as np
import pytest
from nasplug_bogk.acquisition import augmentation, log_expected_improvement, upper_confidence_bound
from nasplug_bogk.pool import Pool

from nasplug.testing import SyntheticSpace
from nasplug.testing.synthetic import accuracy


def test_expected_improvement_is_the_expectation():
    rng = np.random.default_rng(0)
    mean, deviation = np.array([-1.0, 0.0, 0.5, 2.0]), np.array([0.3, 1.0, 0.2, 0.5])
    draws = mean + deviation * rng.standard_normal((400_000, 4))
    expected = np.maximum(draws - 0.4, 0.0).mean(axis=0)
    found = np.exp(log_expected_improvement(mean, deviation, 0.4))
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=1e-5)


def test_augmentation_at_its_ends():
    """Nothing is left to learn without deviation, everything without noise: finite in both."""
    assert augmentation(np.array([0.0]), 0.5)[0] == pytest.approx(np.log(1e-12), rel=1e-3)
    assert augmentation(np.array([0.0, 3.0]), 1e-300)[1] == pytest.approx(0.0, abs=1e-9)
    assert augmentation(np.array([3.0]), 4.0)[0] == pytest.approx(np.log(1 - 4 / 5))


def test_expected_improvement_stays_ordered_where_it_underflows():
    mean = -np.array([0.5, 1.0, 1.0001, 5.0, 30.0, 199.9, 200.1, 1e4])
    values = log_expected_improvement(mean, np.ones(8), 0.0)
    assert np.isfinite(values).all()
    assert (np.diff(values) < 0).all()
    # Phi'(z) / z² far out: the leading term of the expansion.
    assert values[4] == pytest.approx(-450 - 0.5 * np.log(2 * np.pi) - 2 * np.log(30), abs=0.01)


def test_noise_takes_the_worth_from_known_points():
    factor = augmentation(np.array([0.01, 1.0, 100.0]), 1.0)
    assert factor[0] < -4
    assert factor[2] == pytest.approx(0.0, abs=0.02)
    assert augmentation(np.ones(1), 0.0)[0] == pytest.approx(0.0, abs=1e-9)


def test_the_confidence_bound_looks_further_with_time():
    early, late = (upper_confidence_bound(np.zeros(1), np.ones(1), count) for count in (1, 1000))
    assert 0 < early < late


def _value(candidates):
    return np.array([accuracy(tuple(SPACE.vector(each)), 9) for each in candidates])


SPACE = SyntheticSpace(length=8)


def test_a_pool_is_new_and_distinct():
    rng = np.random.default_rng(0)
    parents = [SPACE.sample(rng) for _ in range(3)]
    seen = {SPACE.mutate(parents[0], rng).key for _ in range(50)} | {each.key for each in parents}
    drawn = Pool(size=60).draw(SPACE, parents, seen, rng)
    keys = [each.key for each in drawn]
    assert len(keys) == len(set(keys)) == 60
    assert not seen & set(keys)


def test_climbing_finds_better_candidates_than_drawing():
    parents = [SPACE.sample(np.random.default_rng(i)) for i in range(3)]
    found = [
        _value([Pool(size=20, rounds=rounds).best(SPACE, parents, set(), np.random.default_rng(1), _value)])[0]
        for rounds in (0, 4)
    ]
    assert found[1] > found[0]


def test_a_space_without_mutation_is_sampled():
    class Sampled:
        def sample(self, rng):
            return SPACE.sample(rng)

    rng = np.random.default_rng(0)
    assert len(Pool(size=30).draw(Sampled(), [SPACE.sample(rng)], set(), rng)) == 30
    assert Pool(size=30).best(Sampled(), [], set(), rng, _value) is not None


def test_nothing_new_is_none():
    small = SyntheticSpace(length=1)
    seen = {each.key for each in small}
    parents = [next(iter(small))]
    assert Pool(size=5).best(small, parents, seen, np.random.default_rng(0), _value) is None
