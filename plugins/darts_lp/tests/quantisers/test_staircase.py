"""Tests of `nasplug_darts_lp.quantisers.staircase`."""

from __future__ import annotations

import itertools

import pytest
import torch
from nasplug_darts_lp.quantisers.gradients import stand_in
from nasplug_darts_lp.quantisers.staircase import Stairs, staircase


def stairs(steps, zero=0.0, gradient="straight_through", level=None):
    places = torch.tensor([zero, zero if level is None else level], dtype=torch.float64)
    return Stairs(steps, places[0], places[1], gradient)


def test_surrogates():
    unit, none = torch.tensor(1.0), torch.tensor(0.0)
    place = torch.tensor([-0.7, 0.25, 0.5, 0.8, 1.6], requires_grad=True)
    steps = staircase(place, unit, none, unit, stairs(1, gradient="quadratic"))
    assert steps.tolist() == [0, 0, 1, 1, 1]
    steps.sum().backward()
    assert place.grad.tolist() == pytest.approx([0, 1, 2, 0.8, 0])
    for gradient in ("straight_through", "clip"):
        place.grad = None
        staircase(place, unit, none, unit, stairs(1, gradient=gradient)).sum().backward()
        assert place.grad.tolist() == [0, 1, 1, 1, 0]
    ends = torch.tensor([0.0, 3.0], requires_grad=True)
    staircase(ends, unit, none, unit, stairs(3)).sum().backward()
    assert ends.grad.tolist() == [1, 1], "both ends belong to the range"


@pytest.mark.parametrize(
    ("steps", "gradient"),
    [(1, "quadratic"), *itertools.product([1, 3, 255], ["straight_through", "clip"])],
)
@pytest.mark.parametrize("shape", [(), (1, 6, 1, 1), (8, 6, 1, 1)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_staircase_is_the_sum_of_its_parts(images, steps, gradient, shape, layout):
    """Values and gradients of one operation, beside the same thing out of operations of torch and their autograd."""
    torch.manual_seed(steps)
    zero, level = (steps / 2, 0.0) if steps == 3 else (steps / 3, steps / 3)
    values = [images(), torch.rand(shape) + 0.5, torch.randn(shape), torch.tensor(4.0 / steps)]
    weights = torch.randn(8, 6, 5, 5)
    results = []
    for whole in (True, False):
        x, gain, threshold, step = (value.double().clone().requires_grad_() for value in values)
        moved = x.contiguous(memory_format=layout)
        if whole:
            found = staircase(moved, gain, threshold, step, stairs(steps, zero, gradient, level))
        else:
            position = (moved * gain - threshold) / step + zero
            inside = position.clamp(0, steps)
            number = (inside + 0.5).floor()
            if gradient == "quadratic":
                v = (2 * position - 1).clamp(-1, 1)
                inside = (2 * v - v * v.abs()) / 2
            if gradient == "clip":  # no share of the inside in the gradient of the step
                inside = (moved * gain - threshold) / step.detach() + zero
                inside = inside.clamp(0, steps)
                outside = (position < 0) | (position > steps)
                found = step.detach() * (stand_in(inside, number) - level)
                found = found + (step - step.detach()) * ((number - level) * outside)
            else:
                found = step * (stand_in(inside, number) - level)
        (found * weights).sum().backward()
        results.append((found, x.grad, gain.grad, threshold.grad, step.grad))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
    assert all(one.abs().sum() > 0 for one in results[0])
