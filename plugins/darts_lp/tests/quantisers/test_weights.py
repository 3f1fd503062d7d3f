"""Tests of `nasplug_darts_lp.quantisers.weights`."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.quantisers import (
    WEIGHTS,
    weight_quantiser,
)
from nasplug_darts_lp.quantisers.weights import GAUSSIAN_STEPS
from torch import nn


@pytest.mark.parametrize("kind", list(WEIGHTS))
@pytest.mark.parametrize("bits", range(1, 9))
def test_weights_are_whole_numbers_times_a_scale(kind, bits):
    torch.manual_seed(0)
    quantiser = weight_quantiser(kind, bits, 5)
    weight = nn.Parameter(0.3 * torch.randn(5, 3, 3, 3) * torch.linspace(0.1, 2, 5)[:, None, None, None])
    live = quantiser(weight)
    numbers, scale = quantiser.integers(weight)
    assert not numbers.is_floating_point()
    assert torch.equal(live, numbers * scale[:, None, None, None])
    assert torch.equal(quantiser.eval()(weight), live)
    assert numbers.abs().max() <= quantiser.largest <= 2**bits
    assert quantiser.largest <= 127
    assert len(numbers.unique()) <= 2**bits
    live.sum().backward()
    assert (weight.grad != 0).float().mean() > 0.5
    for parameter in quantiser.parameters():
        assert parameter.grad.abs().sum() > 0


def test_a_weight_bit_is_the_sign_with_the_mean_magnitude():
    weight = torch.tensor([[0.5, -1.5, 0.0, 0.4]])
    numbers, scale = weight_quantiser("uniform", 1, 1).integers(weight)
    assert numbers.tolist() == [[1, -1, 1, 1]]
    assert scale.tolist() == pytest.approx([0.6])


@pytest.mark.parametrize("kind", ["uniform", "gaussian"])
def test_gaussian_weights_lose_little(kind):
    """The squared errors are those that are published for the best uniform quantisers of Gaussian numbers."""
    weight = torch.randn(1, 200_000, generator=torch.Generator().manual_seed(0))
    published = {"gaussian": {1: 0.3634, 2: 0.1188, 3: 0.03744, 4: 0.01154}, "uniform": {1: 0.3634, 2: 0.1902}}[kind]
    for bits, expected in published.items():
        error = (weight_quantiser(kind, bits, 1)(weight) - weight).square().mean()
        assert float(error) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("levels", [3, 7, 15, 31, 63, 127, 255, 2, 4, 8, 16, 32, 64, 128])
def test_the_steps_are_the_best(levels):
    """Golden-section search of the squared error on a fine grid of Gaussian numbers."""
    x = torch.linspace(-6, 6, 40001, dtype=torch.float64)
    density = (-x.square() / 2).exp()

    def error(step):
        half = (levels - 1) / 2
        level = ((x / step + half).round().clamp(0, levels - 1) - half) * step
        return float(((level - x).square() * density).sum() / density.sum())

    step = GAUSSIAN_STEPS[levels]
    assert error(step) <= 1.003 * min(error(step * factor) for factor in torch.linspace(0.9, 1.1, 41).tolist())


def test_empty_channels_have_some_scale():
    for kind in WEIGHTS:
        quantiser = weight_quantiser(kind, 2, 2)
        assert torch.isfinite(quantiser(torch.zeros(2, 3))).all()


@pytest.mark.parametrize("kind", list(WEIGHTS))
@pytest.mark.parametrize(("before", "after"), [(1, 4), (2, 8), (8, 3), (4, 4)])
def test_other_bits_are_those_of_a_quantiser_made_with_them(kind, before, after):
    torch.manual_seed(0)
    weight = torch.randn(3, 2, 3, 3)
    quantiser, made = weight_quantiser(kind, before, 3), weight_quantiser(kind, after, 3)
    quantiser.set_bits(after)
    assert quantiser.bits == after
    assert quantiser.largest == made.largest
    assert quantiser.integers(weight)[0].abs().max() <= made.largest


@pytest.mark.parametrize(("before", "after"), [(2, 8), (8, 3), (1, 5)])
def test_learned_steps_keep_their_range_when_the_bits_change(before, after):
    quantiser = weight_quantiser("lsq", before, 2)
    quantiser.train()(torch.randn(2, 3, 3, 3))
    reach = quantiser.step.detach() * quantiser.largest
    quantiser.set_bits(after)
    assert torch.allclose(quantiser.step.detach() * quantiser.largest, reach)
