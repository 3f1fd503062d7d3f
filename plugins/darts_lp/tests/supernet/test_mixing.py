"""Tests of `nasplug_darts_lp.supernet.mixing`."""

from __future__ import annotations

import pytest
from nasplug_darts_lp.supernet.mixing import Mixing
from nasplug_darts_lp.supernet.scaling import WeightedSum
from nasplug_darts_lp.supernet.schedules import check_schedule

from nasplug.contract.errors import SpecError


def test_temperatures():
    assert [Mixing("gumbel").temperature_at(p) for p in (0.0, 0.5, 1.0)] == pytest.approx([5.0, 2.55, 0.1])
    assert [Mixing("softmax").temperature_at(p) for p in (0.0, 1.0)] == [1.0, 1.0]
    exponential = Mixing("gumbel", (10.0, 0.1), "exponential")
    assert [exponential.temperature_at(p) for p in (0.0, 0.5, 1.0)] == pytest.approx([10.0, 1.0, 0.1])
    assert Mixing("gumbel", (2.0, 1.0), "constant").temperature_at(1.0) == 2.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Mixing("gumble"), "did you mean 'gumbel'"),
        (lambda: Mixing(annealing="linaer"), "did you mean 'linear'"),
        (lambda: Mixing(temperature=(0.0, 1.0)), "temperature"),
        (lambda: check_schedule("invert"), "did you mean 'inverted'"),
        (lambda: WeightedSum(3, "gradients"), "did you mean 'gradient'"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(SpecError, match=message):
        make()
