"""Tests of `nasplug_darts_lp.folding.lines`: the same number of levels for every accumulator, or no line."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.folding.lines import FEWEST, line_through
from nasplug_darts_lp.folding.modules import EvenThresholds, Requantise, Thresholds

BOUND = 3000


def levels(thresholds, sums):
    return (sums[None, :, None] >= thresholds[:, None, :]).sum(2)


def by_line(line, sums):
    found = torch.floor(sums[None].double() * line.slope[:, None] + line.offset[:, None]).long()
    found = found.clamp(line.low[:, None].long(), line.high[:, None].long())
    for index in range(line.at.shape[1]):
        found += (sums[None] == line.at[:, index, None]) * line.step[:, index, None].long()
    return found


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
    assert torch.equal(by_line(found, sums), levels(thresholds, sums))


def test_channels_at_the_ends():
    never, always = torch.full((1, 15), BOUND + 1), torch.full((1, 15), -BOUND)
    jump = torch.cat([torch.full((1, 7), -BOUND), torch.full((1, 8), BOUND + 1)], 1)
    found = line_through(torch.cat([never, always, jump]).int(), BOUND)
    assert found is not None
    sums = torch.arange(-BOUND, BOUND + 1)
    assert by_line(found, sums).unique(dim=1).flatten().tolist() == [0, 15, 7]


def test_thresholds_on_no_line_and_few_ones_stay():
    straight = torch.arange(0, 60, 4)[None].int()
    assert line_through(straight, BOUND).at.shape == (1, 0)
    bent = straight.clone()
    bent[0, 7:] += 3
    assert line_through(bent, BOUND) is None
    assert line_through(straight[:, : FEWEST - 1], BOUND) is None


@pytest.mark.parametrize("moved", [1, -1])
@pytest.mark.parametrize("count", [1, 4, 5])
def test_thresholds_that_rounding_moved_are_exceptions(count, moved):
    """Channel 0 stays straight; of channel 1, some thresholds in the middle are one accumulator beside the line."""
    thresholds = torch.arange(-1200, 1240, 40).repeat(2, 1).int()
    places = [20, 27, 31, 38, 44][:count]
    for index, place in enumerate(places):  # to both sides, so that no other line does better
        thresholds[1, place] += moved * (-1) ** index * 2 if count > 1 else moved
    found = line_through(thresholds, BOUND)
    sums = torch.arange(-BOUND, BOUND + 1)
    straight = ~found.bent
    assert bool(straight[0])
    assert torch.equal(by_line(found, sums)[straight], levels(thresholds, sums)[straight])


def test_a_channel_may_end_below_the_last_level():
    """As behind a ReLU6: the levels above 6 are reached by no accumulator."""
    thresholds = torch.arange(30, 30 + 255 * 9, 9).repeat(2, 1).int()
    thresholds[0, 140:] = BOUND + 1
    thresholds[1, :17] = -BOUND
    found = line_through(thresholds, BOUND)
    assert (found.low.tolist(), found.high.tolist()) == ([0, 17], [140, 255])
    assert found.at.shape == (2, 0)
    sums = torch.arange(-BOUND, BOUND + 1)
    assert torch.equal(by_line(found, sums), levels(thresholds, sums))


def test_a_channel_with_many_exceptions_is_bent_and_the_others_are_not():
    thresholds = torch.arange(-2000, 2080, 16).repeat(3, 1).int()
    thresholds[1, ::7] += 3
    found = line_through(thresholds, BOUND)
    assert found.bent.tolist() == [False, True, False]
    assert not found.step.any()
    sums = torch.arange(-BOUND, BOUND + 1)
    assert torch.equal(by_line(found, sums)[[0, 2]], levels(thresholds, sums)[[0, 2]])


def test_more_bent_channels_than_straight_ones_are_no_lines():
    thresholds = torch.arange(-2000, 2080, 16).repeat(3, 1).int()
    thresholds[1:, ::7] += 3
    assert line_through(thresholds, BOUND) is None


def test_codes_are_those_of_thresholds_whatever_a_channel_is():
    """Straight, with exceptions, bent, falling: all in one layer, at every accumulator."""
    thresholds = torch.arange(-1024, 1016, 8).repeat(5, 1).int()
    thresholds[1, 100] += 1
    thresholds[2, ::5] += 3
    signs = torch.tensor([1, 1, 1, -1, -1], dtype=torch.int32)
    thresholds[4, 50] -= 1
    line = line_through(thresholds, BOUND)
    signed = line._replace(slope=signs * line.slope, at=signs[:, None] * line.at)
    rest = Thresholds(thresholds[line.bent], signs[line.bent], 1)
    made = Requantise(signed, 255, 1, rest)
    sums = torch.arange(-BOUND, BOUND + 1, dtype=torch.int32).repeat(5, 1)[None]
    expected = Thresholds(thresholds, signs, 1)(sums)
    assert line.bent.tolist() == [False, False, True, False, False]
    assert line.step.any(1).tolist() == [False, True, False, False, True]
    assert torch.equal(made(sums), expected)
    assert torch.equal(made(sums[:, :, 7]), expected[:, :, 7])


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
