"""Tests of `nasplug_darts_lp.quantisers.gradients`."""

from __future__ import annotations

import torch
from nasplug_darts_lp.quantisers.gradients import scale_gradient, stand_in


def test_stand_ins_return_the_very_numbers():
    smooth = torch.tensor([1 / 3], requires_grad=True)
    hard = torch.tensor([1e8])
    assert torch.equal(stand_in(smooth, hard), hard)
    scale_gradient(smooth, 0.25).sum().backward()
    assert smooth.grad == 0.25
    assert scale_gradient(smooth, 0.25) == smooth
