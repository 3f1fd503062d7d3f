"""Tests of `nasplug_darts_lp.folding.lines`: the same number of levels for every accumulator, or no line."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.folding.lines import FEWEST, line_through
from nasplug_darts_lp.folding.modules import EvenThresholds, Thresholds

BOUND = 3000


def levels(thresholds, sums):
    return (sums[None, :, None] >= thresholds[:, None, :]).sum(2)


def by_line(slope, offset, sums, steps):
    return torch.floor(sums[None].double() * slope[:, None] + offset[:, None]).clamp(0, steps).long()


@pytest.mark.parametrize("steps", [15, 31, 255])
def test_every_accumulator_has_its_level(steps):
    generator = torch.Generator().manual_seed(steps)
    spacing = 0.3 + 30 * torch.rand(64, 1, generator=generator)
    start = 4000 * torch.rand(64, 1, generator=generator) - 2000
    exact = start + spacing * torch.arange(steps)
    thresholds = exact.ceil().clamp(-BOUND, BOUND + 1).int()  # some are reached by all accumulators, some by none
    assert bool((thresholds == BOUND + 1).any()) == (steps == 255)
    found = line_through(thresholds, BOUND)
    assert found is not None
    sums = torch.arange(-BOUND, BOUND + 1)
    assert torch.equal(by_line(*found, sums, steps), levels(thresholds, sums))


def test_channels_at_the_ends():
    never, always = torch.full((1, 15), BOUND + 1), torch.full((1, 15), -BOUND)
    jump = torch.cat([torch.full((1, 7), -BOUND), torch.full((1, 8), BOUND + 1)], 1)
    found = line_through(torch.cat([never, always, jump]).int(), BOUND)
    assert found is not None
    sums = torch.arange(-BOUND, BOUND + 1)
    assert by_line(*found, sums, 15).unique(dim=1).flatten().tolist() == [0, 15, 7]


def test_thresholds_on_no_line_and_few_ones_stay():
    straight = torch.arange(0, 60, 4)[None].int()
    assert line_through(straight, BOUND) is not None
    bent = straight.clone()
    bent[0, 7:] += 3
    assert line_through(bent, BOUND) is None
    assert line_through(straight[:, : FEWEST - 1], BOUND) is None


@pytest.mark.parametrize(("first", "step", "steps"), [(-3.2, 0.0251, 255), (0.004, 0.0078, 255), (-0.7, 0.1, 15)])
def test_values_at_and_around_even_thresholds(first, step, steps):
    thresholds = (first + step * torch.arange(steps)).float()
    assert EvenThresholds.even(thresholds)
    below, above = (torch.nextafter(thresholds, torch.full_like(thresholds, end)) for end in (-torch.inf, torch.inf))
    values = torch.cat([thresholds, below, above, 3 * torch.randn(5000), torch.tensor([-1e30, 1e30])])[None, None]
    expected = Thresholds(thresholds[None], None, 1)(values)
    assert torch.equal(EvenThresholds(thresholds, 1)(values), expected)


def test_thresholds_that_are_not_even_are_no_line():
    assert not EvenThresholds.even(torch.linspace(0, 3, 63) ** 2)
    assert not EvenThresholds.even(torch.linspace(0, 3, 7))
