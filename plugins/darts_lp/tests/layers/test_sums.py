"""Tests of `nasplug_darts_lp.layers.sums`: additions of codes."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.layers.sums import FACTOR_BITS, LARGEST, IntegerSum, MapQuantiser, ratio, unit_of


def numbers(first, second, out):
    return ratio(*(torch.tensor(value) for value in (first, second, out)))


@pytest.mark.parametrize("first", [1.0, 0.37, 12.5])
@pytest.mark.parametrize("second", [1.0, 0.0131, 3.3])
@pytest.mark.parametrize("out", [1.0, 0.61, 9.7])
def test_sums_of_codes_are_those_of_values_up_to_a_code(first, second, out):
    found = numbers(first, second, out)
    assert 64 <= max(found.first, found.second) <= LARGEST
    assert 2 ** (FACTOR_BITS - 1) <= found.factor <= 2**FACTOR_BITS
    a, b = torch.arange(-128, 256)[:, None], torch.arange(-128, 256)[None, :]
    exact = (first * a.double() + second * b.double()) / out
    # The finer branch has a ratio of 7 bits, the sum a factor of 14, and rounding takes half a code.
    (large, _), (small, fine) = sorted([(first, a), (second, b)], key=lambda pair: pair[0], reverse=True)
    p, q = max(found.first, found.second), min(found.first, found.second)
    lost = abs(q / p - small / large) * large / out * fine.abs()
    bound = 0.5 + lost + (exact.abs() + lost) / 2 ** (FACTOR_BITS - 1)
    assert ((found.levels(a, b) - exact).abs() <= bound + 1e-9).all()


@pytest.mark.parametrize("share", [1.0, 0.9973, 0.5, 1 / 3, 0.0713, 0.0131, 1e-4])
def test_no_factors_of_seven_bits_are_nearer_to_the_ratio_of_the_units(share):
    found = numbers(1.0, share, 1.0)
    nearest = min(abs(q / p - share) for p in range(1, LARGEST + 1) for q in range(p + 1))
    assert abs(float(found.second / found.first) - share) == pytest.approx(nearest, abs=1e-12)
    assert nearest <= 0.5 / LARGEST


def test_it_fits_whole_numbers_of_32_bits():
    for units in ((1.0, 1.0, 1.0), (1e-6, 1e4, 1.0), (1.0, 1.0, 1e5), (1e3, 1.0, 0.01)):
        found = numbers(*units)
        largest = int(found.first + found.second) * 255 * int(found.factor) + (1 << int(found.shift) >> 1)
        assert largest < 2**31, units
        assert 0 <= found.shift <= 30


def test_halves_are_rounded_up():
    found = numbers(1.0, 1.0, 2.0)
    assert found.levels(torch.tensor([1, -1, 3, -3]), torch.tensor([0, 0, 0, 0])).tolist() == [1, 0, 2, -1]


def ready(levels="auto"):
    torch.manual_seed(0)
    first, second, total = MapQuantiser(), MapQuantiser(), IntegerSum(levels=levels)
    return first, second, total


def call(first, second, total, a, b):
    return total(first(a), second(b), first.step, second.step)


def test_training_and_inference_give_the_same_codes():
    first, second, total = ready()
    a, b = torch.randn(4, 3, 5, 5), 0.3 * torch.randn(4, 3, 5, 5)
    call(first, second, total, a, b)
    trained = call(first, second, total, a, b)
    parts = [part.eval() for part in (first, second, total)]
    found = call(*parts, a, b)
    unit = total.output.static().step[0]
    assert torch.equal((found / unit).round() * unit, found)
    assert (found - trained).abs().max() < unit / 100
    assert (found - a - b).abs().mean() < 2 * unit


def test_gradients_reach_both_branches_and_the_step():
    first, second, total = ready()
    a, b = torch.randn(4, 3, 5, 5, requires_grad=True), torch.randn(4, 3, 5, 5, requires_grad=True)
    call(first, second, total, a, b).square().sum().backward()
    for found in (a.grad, b.grad, first.step.grad, second.step.grad, total.output.step.grad):
        assert found is not None
        assert found.abs().sum() > 0


def test_a_sum_in_front_of_a_relu_has_no_negative_codes():
    first, second, total = ready("unsigned")
    a, b = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    assert (call(first, second, total, a, b) >= 0).all()
    assert not total.output.zero_level()


def test_idle_quantisers_leave_the_sum_as_it_is():
    first, second, total = ready()
    for quantiser in (first, second, total.output):
        quantiser.enabled = False
    a, b = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    assert torch.equal(call(first, second, total, a, b), a + b)
    assert unit_of(torch.tensor([0.3])).shape == ()
