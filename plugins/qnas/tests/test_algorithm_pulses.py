"""Uniform pulses: hand-computed updates, and bounds that hold whatever happens."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nasplug_qnas.algorithm import UniformPulses

from nasplug.contract.ranges import FloatRange, IntRange


def test_update_moves_both_ends_by_hand_computed_amounts():
    pulses = UniformPulses(1, {"lr": FloatRange(0.0, 10.0)})
    pulses.lower[:], pulses.upper[:] = 2.0, 8.0
    survivors = np.array([[5.0], [7.0], [9.0], [6.0]])  # spread 4
    pulses.update(np.array([[6.0]]), survivors, 0.5, np.random.default_rng(0), rate=1.0)
    assert pulses.lower.tolist() == [[3.0]]  # 2 + 0.5 (6 - 2 - 2)
    assert pulses.upper.tolist() == [[8.0]]  # 8 + 0.5 (6 + 2 - 8)


def test_update_stays_within_the_configured_range():
    pulses = UniformPulses(1, {"lr": FloatRange(0.0, 10.0)})
    survivors = np.array([[9.5], [5.5]])  # spread 4
    pulses.update(np.array([[9.5]]), survivors, 1.0, np.random.default_rng(0), rate=1.0)
    assert (pulses.lower.item(), pulses.upper.item()) == (7.5, 10.0)


def test_names_are_sorted_and_rows_map_to_i_mod_q():
    pulses = UniformPulses(2, {"momentum": FloatRange(0.0, 1.0), "decay": FloatRange(0.1, 0.999)})
    assert pulses.names == ("decay", "momentum")
    pulses.lower[1] = pulses.upper[1] = [0.5, 0.25]
    values = pulses.observe(np.random.default_rng(0), repetition=3)
    assert values[1::2].tolist() == [[0.5, 0.25]] * 3
    assert len({row[0] for row in values[::2].tolist()}) == 3
    assert pulses.decode(values[1]) == {"decay": 0.5, "momentum": 0.25}


def test_logarithmic_scale_is_uniform_in_the_logarithm():
    pulses = UniformPulses(1, {"lr": FloatRange(1e-5, 1e-1, log=True)})
    values = [pulses.decode(row)["lr"] for row in pulses.observe(np.random.default_rng(0), 4000)]
    assert min(values) >= 1e-5
    assert max(values) <= 1e-1
    assert np.median(values) == pytest.approx(1e-3, rel=0.3)
    assert np.mean(np.array(values) < 1e-4) == pytest.approx(0.25, abs=0.03)


def test_both_ends_of_a_range_are_reached_exactly():
    pulses = UniformPulses(1, {"wd": FloatRange(1e-5, 1e-3, log=True)})
    assert pulses.decode(pulses.low) == {"wd": 1e-5}
    assert pulses.decode(pulses.high) == {"wd": 1e-3}


@settings(max_examples=80, deadline=None)
@given(
    low=st.floats(-1e3, 1e3, allow_subnormal=False),
    width=st.floats(1e-6, 1e3),
    seed=st.integers(0, 2**32 - 1),
    collapsed=st.booleans(),
)
def test_pulses_never_invert_nor_leave_their_range(low, width, seed, collapsed):
    rng = np.random.default_rng(seed)
    pulses = UniformPulses(3, {"x": FloatRange(low, low + width), "y": FloatRange(0.0, 1.0)})
    for _ in range(40):
        survivors = pulses.observe(rng, 2)
        if collapsed:
            survivors[:] = survivors[0]
        pulses.update(survivors[:3], survivors, float(rng.choice([0.0, 1.0, rng.random()])), rng, rate=0.9)
        assert np.all(pulses.low <= pulses.lower)
        assert np.all(pulses.lower <= pulses.upper)
        assert np.all(pulses.upper <= pulses.high)


def test_agreement_of_the_survivors_narrows_the_pulse():
    pulses = UniformPulses(1, {"x": FloatRange(0.0, 1.0)})
    rng = np.random.default_rng(0)
    for _ in range(20):
        pulses.update(np.array([[0.3]]), np.array([[0.3], [0.31]]), 0.5, rng, rate=1.0)
    assert pulses.lower.item() == pytest.approx(0.295, abs=1e-5)
    assert pulses.upper.item() == pytest.approx(0.305, abs=1e-5)
    assert pulses.relative_width().item() == pytest.approx(0.01, abs=1e-5)


def test_integers_and_steps_are_equally_likely_at_the_start():
    pulses = UniformPulses(1, {"n": IntRange(16, 64, step=16), "p": FloatRange(0.0, 0.5, step=0.25)})
    rows = [pulses.decode(row) for row in pulses.observe(np.random.default_rng(0), 3000)]
    for name, values in (("n", (16, 32, 48, 64)), ("p", (0.0, 0.25, 0.5))):
        found = [row[name] for row in rows]
        assert set(found) == set(values)
        assert all(type(value) is type(values[0]) for value in found)
        assert found.count(values[0]) / 3000 == pytest.approx(1 / len(values), abs=0.03)
    assert pulses.decode(pulses.low) == {"n": 16, "p": 0.0}
    assert pulses.decode(pulses.high) == {"n": 64, "p": 0.5}


def test_integers_on_a_logarithmic_scale():
    pulses = UniformPulses(1, {"n": IntRange(1, 100, log=True)})
    values = [pulses.decode(row)["n"] for row in pulses.observe(np.random.default_rng(0), 3000)]
    assert (min(values), max(values)) == (1, 100)
    assert np.mean(np.array(values) <= 7) == pytest.approx(np.log(7.5 / 0.5) / np.log(100.5 / 0.5), abs=0.03)


def test_no_ranges_make_empty_values():
    pulses = UniformPulses(2, {})
    assert pulses.observe(np.random.default_rng(0), 3).shape == (6, 0)
    assert pulses.decode(np.empty(0)) == {}
    pulses.load_state_dict(pulses.state_dict())


@pytest.mark.parametrize(
    ("best", "survivors", "said"),
    [
        (np.zeros((2, 1)), np.zeros((4, 1)), "best must have shape (1, 1), got (2, 1)"),
        (np.zeros((1, 2)), np.zeros((4, 1)), "best must have shape (1, 1), got (1, 2)"),
        (np.zeros((1, 1)), np.zeros((4, 2)), "population must have shape (4, 1), got (4, 2)"),
        (np.zeros((1, 1)), np.zeros(4), "population must have shape (4, 1), got (4,)"),
    ],
)
def test_arrays_of_another_shape_are_refused_before_anything_moves(best, survivors, said):
    pulses = UniformPulses(1, {"lr": FloatRange(0.0, 10.0)})
    pulses.lower[:], pulses.upper[:] = 2.0, 8.0
    with pytest.raises(ValueError, match="Q-NAS") as caught:
        pulses.update(best, survivors, 0.5, np.random.default_rng(0), rate=1.0)
    assert said in str(caught.value)
    assert (pulses.lower.item(), pulses.upper.item()) == (2.0, 8.0)
