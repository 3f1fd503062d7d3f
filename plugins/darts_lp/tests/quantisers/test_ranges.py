"""Tests of `nasplug_darts_lp.quantisers.ranges`."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.quantisers import (
    activation_quantiser,
)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("signed", [True, False])
def test_the_first_range_is_a_good_one(images, bits, signed):
    """No range out of a fine grid has an error that is much smaller."""
    values = images(signed, channels=6)
    quantiser = activation_quantiser("fixed", bits, 6)
    quantiser(values)
    found = (quantiser.eval()(values) - values).square().mean()
    errors = []
    for factor in torch.linspace(0.3, 3, 50):
        other = activation_quantiser("fixed", bits, 6)
        other(values)
        other.span.mul_(factor)
        errors.append((other.eval()(values) - values).square().mean())
    assert found < 1.1 * min(errors)
