"""Tests of `nasplug_darts_lp.supernet.samples`."""

from __future__ import annotations

import math

import pytest
import torch
from nasplug_darts_lp.supernet import samples as samples_module
from nasplug_darts_lp.supernet.mixing import Mixing
from nasplug_darts_lp.supernet.samples import mixing_weights

from nasplug.contract.errors import TrialError

LOGITS = torch.tensor([0.5, -1.0, 1.5, 0.0])


@pytest.mark.parametrize("kind", ["softmax", "gumbel", "gumbel_hard", "dirichlet"])
def test_weights_are_a_distribution(kind):
    torch.manual_seed(0)
    for temperature in (5.0, 1.0, 0.1):
        weights = mixing_weights(Mixing(kind), LOGITS, temperature)
        assert weights.sum() == pytest.approx(1.0, abs=1e-6)
        assert (weights >= 0).all()


def test_softmax_has_no_noise():
    assert torch.equal(mixing_weights(Mixing("softmax"), LOGITS, 1.0), torch.softmax(LOGITS, 0))


@pytest.mark.parametrize("temperature", [5.0, 0.1])
def test_hard_samples_follow_the_softmax_at_any_temperature(temperature):
    generator = torch.Generator().manual_seed(0)
    samples = torch.stack([mixing_weights(Mixing("gumbel_hard"), LOGITS, temperature, generator) for _ in range(4000)])
    assert set(samples.round(decimals=5).unique().tolist()) == {0.0, 1.0}
    assert samples.mean(0).tolist() == pytest.approx(torch.softmax(LOGITS, 0).tolist(), abs=0.03)


def test_the_mean_of_dirichlet_samples_is_the_softmax():
    torch.manual_seed(0)
    samples = torch.stack([mixing_weights(Mixing("dirichlet"), LOGITS, 1.0) for _ in range(4000)])
    narrow = torch.stack([mixing_weights(Mixing("dirichlet"), LOGITS, 0.1) for _ in range(500)])

    assert samples.mean(0).tolist() == pytest.approx(torch.softmax(LOGITS, 0).tolist(), abs=0.02)
    # Variance of a Dirichlet: m (1 - m) / (concentration + 1), here with a concentration of 4 and 40 in all.
    mean = torch.softmax(LOGITS, 0)
    assert samples.var(0).tolist() == pytest.approx((mean * (1 - mean) / 5).tolist(), rel=0.12)
    assert narrow.var(0).tolist() == pytest.approx((mean * (1 - mean) / 41).tolist(), rel=0.35)


def test_dirichlet_samples_move_logits_towards_what_is_better():
    torch.manual_seed(0)
    logits = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.Adam([logits], 0.05)
    for _ in range(150):
        loss = (mixing_weights(Mixing("dirichlet"), logits, 1.0) * torch.tensor([1.0, 0.0, 2.0])).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    assert logits.argmax() == 1
    assert torch.softmax(logits.detach(), 0)[1] > 0.8


def test_a_low_temperature_sharpens():
    def largest(temperature):
        generator = torch.Generator().manual_seed(0)
        return (
            sum(float(mixing_weights(Mixing("gumbel"), LOGITS, temperature, generator).max()) for _ in range(200)) / 200
        )

    assert largest(5.0) < 0.5 < 0.9 < largest(0.1)


def test_hard_samples_pass_the_gradient_of_soft_ones():
    gradients = []
    for kind in ("gumbel", "gumbel_hard"):
        logits = LOGITS.clone().requires_grad_()
        weights = mixing_weights(Mixing(kind), logits, 0.7, torch.Generator().manual_seed(3))
        (weights * torch.arange(4.0)).sum().backward()
        gradients.append(logits.grad)
    assert torch.equal(*gradients)
    assert gradients[0].abs().sum() > 0


@pytest.mark.parametrize("kind", ["softmax", "gumbel", "gumbel_hard", "dirichlet"])
def test_equal_candidates_leave_no_remainder_on_their_logits(kind):
    """Rounding alone would be a gradient, too, and Adam makes a whole step of the smallest one."""
    logits = LOGITS.clone().requires_grad_()
    for seed in range(20):
        weights = mixing_weights(Mixing(kind), logits, 0.1, torch.Generator().manual_seed(seed))
        (weights * 0.3).sum().backward()
    assert logits.grad.abs().max() == 0


def test_a_sample_that_is_not_finite_is_redrawn(monkeypatch):
    samples = [torch.full((4,), math.inf), torch.tensor([math.nan, 0, 0, 0]), torch.zeros(4)]
    monkeypatch.setattr(samples_module, "gumbel", lambda *_: samples.pop(0))
    weights = mixing_weights(Mixing("gumbel"), LOGITS, 1.0)
    assert samples == []
    assert torch.allclose(weights, torch.softmax(LOGITS, 0))


@pytest.mark.parametrize("kind", ["softmax", "gumbel", "gumbel_hard", "dirichlet"])
def test_logits_that_are_not_finite_fail(kind):
    with pytest.raises(TrialError, match="not finite") as caught:
        mixing_weights(Mixing(kind), torch.tensor([math.nan, 0.0]), 1.0)
    assert caught.value.kind == "nan"
