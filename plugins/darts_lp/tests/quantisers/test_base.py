"""What all activation quantisers have in common: grids, thresholds, gradients, the first batch."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.quantisers import (
    ACTIVATIONS,
    activation_quantiser,
    base,
    count,
)


@pytest.mark.parametrize("kind", list(ACTIVATIONS))
@pytest.mark.parametrize("bits", [1, 2, 3, 8])
@pytest.mark.parametrize("signed", [True, False])
def test_training_and_inference_stay_on_the_grid(images, trained, kind, bits, signed):
    quantiser = trained(kind, bits, signed)
    live = quantiser(images(signed))
    assert live.shape == (8, 6, 5, 5)
    assert len(live.unique()) <= 2**bits
    levels = quantiser.static()
    found = quantiser.eval()(images(signed))
    grid = levels.offset[0] + levels.step[0] * torch.arange(2**bits)
    assert torch.isin(found, grid).all()
    assert len(found.unique()) > 1


@pytest.mark.parametrize("kind", list(ACTIVATIONS))
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("levels", ["unsigned", "signed", "rectified"])
def test_inference_is_its_thresholds_exactly(images, trained, kind, bits, levels):
    quantiser = trained(kind, bits, levels=levels).eval()
    thresholds, offset, step = quantiser.static()
    assert thresholds.shape == (6, 2**bits - 1)
    assert (thresholds.diff(dim=1) >= 0).all()
    assert (step == step[0]).all()
    values = images(seed=9)
    values[0, :, 0, 0] = thresholds[:, 0]  # what meets a threshold has reached it
    values[0, :, 0, 1] = torch.nextafter(thresholds[:, 0], torch.tensor(-torch.inf))
    reached = (values[:, :, None] >= thresholds[:, :, None, None]).sum(2)
    expected = offset[:, None, None] + step[:, None, None] * reached
    assert torch.equal(quantiser(values), expected)
    codes = quantiser.codes(values)
    assert torch.equal(codes.numbers, codes.numbers.round())
    assert torch.equal(codes.numbers * codes.unit, expected), "codes are the same numbers"
    assert codes.numbers.abs().max() <= quantiser.largest


@pytest.mark.parametrize("steps", [1, 3, 7, 255])
@pytest.mark.parametrize("few", [0, 1000])
def test_counting_thresholds_by_bisection_and_one_by_one(steps, few, monkeypatch):
    monkeypatch.setattr(base, "_FEW", few)
    generator = torch.Generator().manual_seed(0)
    thresholds = torch.randn(4, steps, generator=generator).sort(1).values
    values = torch.randn(3, 4, 2, generator=generator)
    values[0, 0, 0], values[0, 0, 1] = -torch.inf, torch.inf
    assert torch.equal(count(values, thresholds), (values[:, :, None] >= thresholds[:, :, None]).sum(2).float())
    whole = (10 * thresholds).int()
    assert torch.equal(
        count((10 * values[1:]).int(), whole), ((10 * values[1:]).int()[:, :, None] >= whole[:, :, None]).sum(2)
    )


@pytest.mark.parametrize("kind", list(ACTIVATIONS))
@pytest.mark.parametrize("bits", [1, 2, 8])
def test_gradients_reach_every_parameter_and_the_input(images, trained, kind, bits):
    quantiser = trained(kind, bits)
    values = (3 * images()).requires_grad_()  # some lie beyond the range
    weights = torch.randn(8, 6, 5, 5, generator=torch.Generator().manual_seed(3))
    (quantiser(values) * weights).sum().backward()
    for name, parameter in quantiser.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all()
        assert parameter.grad.abs().sum() > 0, name
    assert values.grad.abs().sum() > 0


@pytest.mark.parametrize(("signed", "lowest"), [(True, "negative"), (False, "zero")])
def test_auto_levels_follow_the_first_batch(images, signed, lowest):
    quantiser = activation_quantiser("learnable", 3, 6)
    quantiser(images(signed))
    assert bool(quantiser.signed) is signed
    assert bool(quantiser.static().offset[0] < 0) is (lowest == "negative")
    restored = activation_quantiser("learnable", 3, 6)
    restored.load_state_dict(quantiser.state_dict())
    restored(100 * images(not signed))
    assert torch.equal(restored.static().thresholds, quantiser.static().thresholds), "only the first batch sets it"


@pytest.mark.parametrize("kind", list(ACTIVATIONS))
def test_bits_can_change_within_a_range(trained, kind):
    quantiser = trained(kind, 8)
    before = quantiser.static()
    quantiser.set_bits(3)
    after = quantiser.static()
    assert after.thresholds.shape == (6, 7)
    torch.testing.assert_close(after.step * 7, before.step * 255, rtol=1e-3, atol=0)


def test_a_disabled_quantiser_is_not_there(images):
    quantiser = activation_quantiser("double_st", 1, 6)
    quantiser.enabled = False
    values = images()
    assert quantiser(values) is values
    assert not bool(quantiser.started)


def test_meta_tensors_pass():
    quantiser = activation_quantiser("double_st", 4, 6)
    assert quantiser.eval()(torch.empty(2, 6, 3, 3, device="meta")).shape == (2, 6, 3, 3)


def test_mixed_precision_leaves_thresholds_whole(images, trained):
    quantiser = trained("double_st", 4)
    with torch.autocast("cpu", torch.bfloat16):
        found = quantiser(images().bfloat16())
    assert found.dtype == torch.bfloat16
    assert quantiser.average_gain.dtype == torch.float32
