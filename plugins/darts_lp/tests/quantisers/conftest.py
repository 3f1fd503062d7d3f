"""Helpers of these tests."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.quantisers import (
    activation_quantiser,
)


def _images(signed=True, seed=0, channels=6):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(8, channels, 5, 5, generator=generator) * torch.linspace(0.5, 2, channels)[:, None, None]
    return values if signed else values.relu()


def _trained(kind, bits, signed=True, steps=3, **options):
    """A quantiser that has seen some batches and whose parameters are no longer those of the start."""
    torch.manual_seed(1)
    quantiser = activation_quantiser(kind, bits, 6, **options)
    quantiser(_images(signed))
    with torch.no_grad():
        for parameter in quantiser.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    for seed in range(steps):
        quantiser(_images(signed, seed))
    return quantiser


@pytest.fixture
def images():
    return _images


@pytest.fixture
def trained():
    return _trained
