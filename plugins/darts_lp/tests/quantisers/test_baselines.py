"""Tests of `nasplug_darts_lp.quantisers.baselines`."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.quantisers import (
    Static,
    activation_quantiser,
)

from nasplug.contract.errors import SpecError


def test_a_static_copy_has_nothing_to_train(images, trained):
    quantiser = trained("double_st", 4).eval()
    static = Static(quantiser).eval()
    assert not list(static.parameters())
    assert torch.equal(static(images(seed=5)), quantiser(images(seed=5)))
    assert torch.equal(static.train()(images(seed=5)), quantiser(images(seed=5)))
    with pytest.raises(SpecError, match="frozen"):
        static.set_bits(2)


def test_pact_moves_its_range_by_clipped_numbers_alone():
    quantiser = activation_quantiser("pact", 4, 1, levels="unsigned")
    quantiser(torch.rand(1, 1, 8, 8))
    quantiser.span.data.fill_(1.0)
    quantiser(torch.tensor([0.2, 0.7, 1.5, 3.0]).reshape(1, 1, 2, 2)).sum().backward()
    assert float(quantiser.span.grad) == pytest.approx(2)


def test_lsq_has_the_gradient_of_its_publication():
    quantiser = activation_quantiser("lsq", 2, 1, levels="unsigned")
    quantiser(torch.rand(1, 1, 2, 2))
    quantiser.step.data.fill_(1.0)
    values = torch.tensor([0.2, 1.7, 2.4, 9.0])
    quantiser(values.reshape(1, 1, 2, 2)).sum().backward()
    expected = (0 - 0.2) + (2 - 1.7) + (2 - 2.4) + 3
    assert float(quantiser.step.grad) == pytest.approx(expected / (4 * 3) ** 0.5, rel=1e-5)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("levels", ["auto", "signed", "unsigned"])
@pytest.mark.parametrize("negative", [True, False])
def test_lsq_starts_at_the_step_of_its_publication(bits, levels, negative, images):
    """2 mean|x| / sqrt(Q_P), with Q_P = 2^(b-1) - 1 for signed and 2^b - 1 for unsigned activations."""
    quantiser = activation_quantiser("lsq", bits, 6, levels=levels)
    values = images(signed=negative)
    quantiser(values)
    signed = levels == "signed" or (levels == "auto" and negative)
    assert bool(quantiser.signed) == signed
    highest = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
    assert quantiser.step.item() == pytest.approx(2 * float(values.abs().mean()) / highest**0.5, rel=1e-5)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_lsq_scales_the_gradient_of_a_signed_step_by_the_signed_levels(bits):
    quantiser = activation_quantiser("lsq", bits, 1, levels="signed")
    quantiser(torch.randn(1, 1, 2, 2))
    quantiser.step.data.fill_(1.0)
    highest = 2 ** (bits - 1) - 1
    values = torch.tensor([0.2, -0.7, -1000.0, 1000.0])
    quantiser(values.reshape(1, 1, 2, 2)).sum().backward()
    expected = (0 - 0.2) + (-1 + 0.7) - 2 ** (bits - 1) + highest
    assert float(quantiser.step.grad) == pytest.approx(expected / (4 * highest) ** 0.5, rel=1e-5)
