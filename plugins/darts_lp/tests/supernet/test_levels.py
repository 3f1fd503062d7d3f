"""The mixture of bit widths computed in one go, beside a plain one made of separate operations."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.supernet import levels
from nasplug_darts_lp.supernet.levels import MixedLevels


def reference(module, x, weights):
    """The definition, with a rounding whose gradient passes straight through."""
    shape = (1, -1, *[1] * (x.dim() - 2))
    low, span = module.low.view(shape), module.log_range.exp()
    u = ((x - low) / span).clamp(0.0, 1.0)
    total = 0
    for bits, weight in zip(module.bits, weights, strict=True):
        n = 2**bits - 1
        rounded = u * n + ((u * n).round() - u * n).detach()
        total = total + weight * (low + span * rounded / n)
    return total


def run(function, module, x, weights, upstream):
    x, weights = x.clone().requires_grad_(), weights.clone().requires_grad_()
    module.zero_grad()
    y = function(x, weights)
    (y * upstream).sum().backward()
    return [y.detach(), x.grad, weights.grad, module.low.grad.clone(), module.log_range.grad.clone()]


@pytest.mark.parametrize("shape", [(5, 3, 4, 6), (4, 3), (2, 3, 7)])
@pytest.mark.parametrize("weights", [[0.1, 0.2, 0.3, 0.4], [0.0, 1.0, 0.0, 0.0], [0.5, 0.1, 0.2, 0.05]])
def test_values_and_gradients_are_those_of_the_definition(shape, weights, monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(levels, "BLOCK", 50)  # several blocks
    module = MixedLevels((1, 2, 4, 8), 3).double()
    with torch.no_grad():
        module.low.add_(torch.randn(3) * 0.3)
        module.log_range.add_(0.3)
    x, upstream = 2 * torch.randn(shape).double(), torch.randn(shape).double()
    weights = torch.tensor(weights, dtype=torch.float64)
    found = run(module, module, x, weights, upstream)
    wanted = run(lambda x, w: reference(module, x, w), module, x, weights, upstream)
    for one, other in zip(found, wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-9)


def test_fixed_weights_need_no_gradient_and_change_nothing():
    torch.manual_seed(0)
    module, upstream = MixedLevels((2, 3), 4), torch.randn(6, 4, 5, 5)
    x, weights = torch.randn(6, 4, 5, 5), torch.tensor([0.25, 0.75])
    with_weights = run(module, module, x, weights, upstream)
    module.zero_grad()
    x = x.requires_grad_()
    (module(x, weights) * upstream).sum().backward()
    assert torch.allclose(x.grad, with_weights[1])
    assert torch.allclose(module.low.grad, with_weights[3], atol=1e-4)
    assert torch.allclose(module.log_range.grad, with_weights[4], atol=1e-4)


@pytest.mark.parametrize("index", range(4))
def test_one_width_gives_its_own_grid(index):
    bits = (1, 2, 4, 8)
    module = MixedLevels(bits, 2, span=3.0)
    weights = torch.zeros(4)
    weights[index] = 1.0
    y = module(torch.linspace(-3, 3, 3000).view(1500, 2), weights)
    assert len(y.unique()) == 2 ** bits[index]
    assert (y.min(), y.max()) == (-1.5, 1.5)


def test_all_widths_share_their_thresholds_with_the_finest():
    """So a mixture is a staircase with the steps of 8 bits."""
    module = MixedLevels((1, 2, 4, 8), 1)
    y = module(torch.linspace(-3, 3, 5000).view(-1, 1), torch.full((4,), 0.25))
    assert len(y.unique()) == 256
    assert (y.diff(dim=0) >= -1e-6).all()


@pytest.mark.parametrize("log_range", [-1e9, 1e9])
def test_a_range_stays_a_number(log_range):
    module = MixedLevels((1, 8), 2)
    module.log_range.data.fill_(log_range)
    y = module(torch.randn(4, 2), torch.tensor([0.5, 0.5]))
    y.sum().backward()
    assert torch.isfinite(y).all()
    assert torch.isfinite(module.low.grad).all()


def test_its_printed_form_says_widths_and_channels():
    assert repr(MixedLevels([1, 4], 3)) == "MixedLevels(bits=(1, 4), channels=3)"
