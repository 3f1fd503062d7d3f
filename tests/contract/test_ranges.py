import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasplug.contract.errors import SpecError
from nasplug.contract.grammar import parse
from nasplug.contract.ranges import Categorical, FloatRange, IntRange

DOMAINS = [
    FloatRange(0.0, 1.0),
    FloatRange(-3.0, 5),
    FloatRange(1e-5, 1e-1, log=True),
    FloatRange(1000000.01, 1000000.02),
    FloatRange(0.0, 0.5, step=0.1),
    IntRange(0, 1),
    IntRange(16, 64, step=16),
    IntRange(1, 1024, log=True),
    IntRange(-5, 10**9),
    Categorical(("adam", "sgd", None, True)),
    Categorical((3, 5, 7), weights=(0.7, 0.3, 0.0)),
    Categorical(("only",)),
]
SEEDS = st.integers(min_value=0, max_value=2**32 - 1)


@pytest.mark.parametrize("domain", DOMAINS, ids=str)
class TestEveryDomain:
    @settings(max_examples=40, deadline=None, derandomize=True, database=None)
    @given(seed=SEEDS)
    def test_draws_steps_and_neighbours_stay_inside(self, domain, seed):
        rng = np.random.default_rng(seed)
        value = domain.sample(rng)
        assert domain.contains(value)
        mutant = domain.mutate(value, rng)
        assert domain.contains(mutant)
        assert mutant != value or domain.size == 1
        near = domain.neighbours(value)
        assert all(domain.contains(each) and each != value for each in near)
        assert len(set(near)) == len(near)
        assert near or domain.size == 1

    @settings(max_examples=40, deadline=None, derandomize=True, database=None)
    @given(seed=SEEDS)
    def test_unit_interval_and_back(self, domain, seed):
        value = domain.sample(np.random.default_rng(seed))
        at = domain.to_unit(value)
        assert 0.0 <= at <= 1.0
        back = domain.from_unit(at)
        assert back == value or back == pytest.approx(value, rel=1e-6)
        assert domain.size is None or back == value

    def test_a_draw_uses_one_uniform_number(self, domain):
        rng, other = np.random.default_rng(0), np.random.default_rng(0)
        domain.sample(rng)
        other.random()
        assert rng.random() == other.random()

    def test_json_round_trip(self, domain):
        assert parse(json.loads(json.dumps(domain.to_json())), where="x") == domain

    def test_grid_is_sorted_distinct_and_inside(self, domain):
        for count in (1, 2, 5, 50):
            values = domain.grid(count)
            assert all(domain.contains(value) for value in values)
            assert len(set(values)) == len(values)
            if isinstance(domain, Categorical):
                assert values == domain.options
            else:
                assert len(values) <= count
                assert list(values) == sorted(values)
                assert count == 1 or (values[0], values[-1]) == (domain.low, domain.high)
            if domain.size is not None and domain.size <= count:
                assert len(values) == domain.size

    def test_ends_of_the_unit_interval(self, domain):
        assert domain.contains(domain.from_unit(0.0))
        assert domain.contains(domain.from_unit(1.0))


def test_log_draws_are_even_in_the_logarithm():
    rng = np.random.default_rng(0)
    values = np.array([FloatRange(1e-4, 1.0, log=True).sample(rng) for _ in range(4000)])
    assert np.mean(values < 1e-2) == pytest.approx(0.5, abs=0.03)
    whole = [IntRange(1, 1000, log=True).sample(rng) for _ in range(4000)]
    inner = math.log(31.5 / 0.5) / math.log(1000.5 / 0.5)
    assert np.mean(np.array(whole) < 32) == pytest.approx(inner, abs=0.03)


def test_integers_and_weights_are_drawn_with_the_stated_probabilities():
    rng = np.random.default_rng(0)
    drawn = [IntRange(16, 64, step=16).sample(rng) for _ in range(4000)]
    assert {value: round(drawn.count(value) / 4000, 1) for value in (16, 32, 48, 64)} == dict.fromkeys(
        (16, 32, 48, 64), pytest.approx(0.25, abs=0.051)
    )
    weighted = [Categorical((3, 5, 7), (0.7, 0.3, 0.0)).sample(rng) for _ in range(4000)]
    assert weighted.count(3) / 4000 == pytest.approx(0.7, abs=0.03)
    assert 7 not in weighted


def test_a_range_of_integers_is_a_sequence_whatever_its_size():
    large = IntRange(0, 10**15, step=5)
    assert len(large) == 2 * 10**14 + 1
    assert large[3] == 15
    assert large.index(15) == 3
    assert 15 in large
    assert 16 not in large
    assert 15.0 not in large
    assert list(IntRange(16, 64, step=16)) == [16, 32, 48, 64]


def test_a_range_of_numbers_with_a_step_is_a_sequence_and_one_without_says_so():
    assert list(FloatRange(0.0, 0.5, step=0.1)) == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert FloatRange(0.0, 0.5, step=0.1).index(0.3) == 3
    with pytest.raises(SpecError, match="continuous"):
        len(FloatRange(0.0, 0.5))
    assert FloatRange(0.0, 0.5)


def test_drawn_numbers_have_digits_that_machines_agree_on():
    value = FloatRange(1e-5, 1e-1, log=True).from_unit(1 / 3)
    assert value == float(f"{value:.8g}")
    narrow = FloatRange(1000000.01, 1000000.02)
    assert len({narrow.from_unit(i / 1000) for i in range(1001)}) == 1001


def test_what_is_in_a_domain():
    assert FloatRange(0, 1).contains(1)
    assert not FloatRange(0, 1).contains(True)
    assert not FloatRange(0, 1).contains("0.5")
    assert not FloatRange(0, 1).contains(float("nan"))
    assert not IntRange(0, 1).contains(True)
    assert not Categorical((1, 2)).contains(True)
    assert Categorical((True, 2)).contains(True)


def test_mutations_reach_everything_and_prefer_what_is_near():
    rng = np.random.default_rng(0)
    domain = FloatRange(0.0, 1.0)
    steps = np.array([abs(domain.mutate(0.5, rng) - 0.5) for _ in range(2000)])
    assert np.mean(steps < 0.2) == pytest.approx(0.68, abs=0.05)
    assert {IntRange(1, 6).mutate(3, rng) for _ in range(500)} == {1, 2, 4, 5, 6}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FloatRange(1.0, 1.0), "does not rise"),
        (lambda: FloatRange(2.0, 1.0), "swap"),
        (lambda: FloatRange(0.0, 1.0, log=True), "above 0"),
        (lambda: FloatRange(0.0, float("inf")), "finite"),
        (lambda: FloatRange(0.0, float("nan")), "finite"),
        (lambda: FloatRange(0.0, 1.0, step=0.3), "high: 0.9"),
        (lambda: FloatRange(0.0, 1.0, step=-0.1), "step must be > 0"),
        (lambda: FloatRange(0.1, 1.0, log=True, step=0.1), "takes no step"),
        (lambda: FloatRange(False, 1.0), "not a number"),
        (lambda: IntRange(0.5, 3), "not an integer"),
        (lambda: IntRange(1, 10, step=4), "high: 9"),
        (lambda: IntRange(1, 3, step=4), "at most 2"),
        (lambda: IntRange(0, 3, log=True), "above 0"),
        (lambda: IntRange(1, 3, log="yes"), "true or false"),
        (lambda: Categorical(()), "no options"),
        (lambda: Categorical((1, True)), "repeated"),
        (lambda: Categorical((1, 2), (0.5,)), "distribution"),
        (lambda: Categorical((1, 2), (0.5, 0.6)), "distribution"),
        (lambda: Categorical((1, 2), (1.5, -0.5)), "distribution"),
        (lambda: FloatRange(0.0, 1.0).grid(0), "1 or more"),
    ],
)
def test_what_describes_nothing_is_refused(make, message):
    with pytest.raises(SpecError, match=message):
        make()


def test_positions_of_foreign_values_are_refused():
    for domain in (IntRange(1, 3), Categorical(("a", "b")), FloatRange(0.0, 1.0, step=0.5)):
        with pytest.raises(ValueError, match="is not in"):
            domain.index("z")
