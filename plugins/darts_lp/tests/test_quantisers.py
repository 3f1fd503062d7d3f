"""Quantisers: grids, thresholds, gradients, the first batch, and that training moves what it should."""

from __future__ import annotations

import itertools

import pytest
import torch
from nasplug_darts_lp.quantisers import (
    ACTIVATIONS,
    WEIGHTS,
    Static,
    activation_quantiser,
    base,
    count,
    weight_quantiser,
)
from nasplug_darts_lp.quantisers.gradients import scale_gradient, stand_in
from nasplug_darts_lp.quantisers.staircase import Stairs, staircase
from nasplug_darts_lp.quantisers.weights import GAUSSIAN_STEPS
from torch import nn

from nasplug.contract.errors import SpecError, UnknownNameError

SQUEEZED = ("double_st", "single_st", "threshold_st")


def images(signed=True, seed=0, channels=6):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(8, channels, 5, 5, generator=generator) * torch.linspace(0.5, 2, channels)[:, None, None]
    return values if signed else values.relu()


def trained(kind, bits, signed=True, steps=3, **options):
    """A quantiser that has seen some batches and whose parameters are no longer those of the start."""
    torch.manual_seed(1)
    quantiser = activation_quantiser(kind, bits, 6, **options)
    quantiser(images(signed))
    with torch.no_grad():
        for parameter in quantiser.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    for seed in range(steps):
        quantiser(images(signed, seed))
    return quantiser


@pytest.mark.parametrize("kind", list(ACTIVATIONS))
@pytest.mark.parametrize("bits", [1, 2, 3, 8])
@pytest.mark.parametrize("signed", [True, False])
def test_training_and_inference_stay_on_the_grid(kind, bits, signed):
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
def test_inference_is_its_thresholds_exactly(kind, bits, levels):
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
def test_gradients_reach_every_parameter_and_the_input(kind, bits):
    quantiser = trained(kind, bits)
    values = (3 * images()).requires_grad_()  # some lie beyond the range
    weights = torch.randn(8, 6, 5, 5, generator=torch.Generator().manual_seed(3))
    (quantiser(values) * weights).sum().backward()
    for name, parameter in quantiser.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all()
        assert parameter.grad.abs().sum() > 0, name
    assert values.grad.abs().sum() > 0


@pytest.mark.parametrize("kind", SQUEEZED)
def test_the_block_starts_neutral_and_training_moves_it(kind):
    """A shift that differs from channel to channel is learnt: thresholds follow, and so do their averages."""
    torch.manual_seed(0)
    quantiser = activation_quantiser(kind, 2, 6, levels="unsigned")
    start = trained("fixed", 2, levels="unsigned", steps=0)
    assert torch.equal(quantiser(images()), start(images())), "as if it were not there"
    shift = torch.linspace(-0.8, 0.8, 6)[:, None, None]
    optimiser = torch.optim.Adam(quantiser.parameters(), lr=0.02)
    losses = []
    for step in range(60):
        values = images(seed=step)
        loss = (quantiser(values) - (values - shift).relu()).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    gain, threshold, _ = quantiser.settled()
    assert threshold.std() > 0.2
    assert (gain - 1).abs().max() > 0.01 or kind == "threshold_st"
    with torch.no_grad():
        live = (quantiser(images(seed=99)) - (images(seed=99) - shift).relu()).square().mean()
        settled = (quantiser.eval()(images(seed=99)) - (images(seed=99) - shift).relu()).square().mean()
    assert settled < 1.2 * live, "inference is as good as training"


def test_sample_squeeze_treats_images_apart_and_batch_squeeze_alike():
    values = torch.cat([images()[:1], 3 * images()[:1] + 1])
    for squeeze, alike in (("batch", True), ("sample", False)):
        quantiser = trained("double_st", 4, squeeze=squeeze)
        with torch.no_grad():
            gain = quantiser.live(values)[0]
        assert gain.shape == (1 if alike else 2, 6, 1, 1)
        quantiser.eval()
        assert torch.equal(quantiser(values)[:1], quantiser(values[:1])), "in inference, nothing depends on the batch"


def test_averages_follow_with_their_momentum():
    quantiser = trained("double_st", 3, momentum=0.25)
    before = quantiser.average_gain.clone()
    with torch.no_grad():
        gain = quantiser.live(images(seed=7))[0].flatten()
    torch.testing.assert_close(quantiser.average_gain, 0.75 * before + 0.25 * gain)
    with torch.no_grad():
        quantiser.eval()(images(seed=8))
    torch.testing.assert_close(quantiser.average_gain, 0.75 * before + 0.25 * gain)


def test_double_squeezes_what_it_has_adjusted():
    quantiser = trained("double_st", 3)
    values = images()
    seen = []
    quantiser.threshold.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    with torch.no_grad():
        gain, _, _ = quantiser.live(values)
    torch.testing.assert_close(seen[0][0], (gain * values).mean((0, 2, 3)))


@pytest.mark.parametrize(("signed", "lowest"), [(True, "negative"), (False, "zero")])
def test_auto_levels_follow_the_first_batch(signed, lowest):
    quantiser = activation_quantiser("learnable", 3, 6)
    quantiser(images(signed))
    assert bool(quantiser.signed) is signed
    assert bool(quantiser.static().offset[0] < 0) is (lowest == "negative")
    restored = activation_quantiser("learnable", 3, 6)
    restored.load_state_dict(quantiser.state_dict())
    restored(100 * images(not signed))
    assert torch.equal(restored.static().thresholds, quantiser.static().thresholds), "only the first batch sets it"


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("signed", [True, False])
def test_the_first_range_is_a_good_one(bits, signed):
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


@pytest.mark.parametrize("kind", list(ACTIVATIONS))
def test_bits_can_change_within_a_range(kind):
    quantiser = trained(kind, 8)
    before = quantiser.static()
    quantiser.set_bits(3)
    after = quantiser.static()
    assert after.thresholds.shape == (6, 7)
    torch.testing.assert_close(after.step * 7, before.step * 255, rtol=1e-3, atol=0)


def test_a_disabled_quantiser_is_not_there():
    quantiser = activation_quantiser("double_st", 1, 6)
    quantiser.enabled = False
    values = images()
    assert quantiser(values) is values
    assert not bool(quantiser.started)


def test_a_static_copy_has_nothing_to_train():
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


def stairs(steps, zero=0.0, gradient="straight_through", level=None):
    places = torch.tensor([zero, zero if level is None else level], dtype=torch.float64)
    return Stairs(steps, places[0], places[1], gradient)


def test_surrogates():
    unit, none = torch.tensor(1.0), torch.tensor(0.0)
    place = torch.tensor([-0.7, 0.25, 0.5, 0.8, 1.6], requires_grad=True)
    steps = staircase(place, unit, none, unit, stairs(1, gradient="quadratic"))
    assert steps.tolist() == [0, 0, 1, 1, 1]
    steps.sum().backward()
    assert place.grad.tolist() == pytest.approx([0, 1, 2, 0.8, 0])
    for gradient in ("straight_through", "clip"):
        place.grad = None
        staircase(place, unit, none, unit, stairs(1, gradient=gradient)).sum().backward()
        assert place.grad.tolist() == [0, 1, 1, 1, 0]
    ends = torch.tensor([0.0, 3.0], requires_grad=True)
    staircase(ends, unit, none, unit, stairs(3)).sum().backward()
    assert ends.grad.tolist() == [1, 1], "both ends belong to the range"


@pytest.mark.parametrize(
    ("steps", "gradient"),
    [(1, "quadratic"), *itertools.product([1, 3, 255], ["straight_through", "clip"])],
)
@pytest.mark.parametrize("shape", [(), (1, 6, 1, 1), (8, 6, 1, 1)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_staircase_is_the_sum_of_its_parts(steps, gradient, shape, layout):
    """Values and gradients of one operation, beside the same thing out of operations of torch and their autograd."""
    torch.manual_seed(steps)
    zero, level = (steps / 2, 0.0) if steps == 3 else (steps / 3, steps / 3)
    values = [images(), torch.rand(shape) + 0.5, torch.randn(shape), torch.tensor(4.0 / steps)]
    weights = torch.randn(8, 6, 5, 5)
    results = []
    for whole in (True, False):
        x, gain, threshold, step = (value.double().clone().requires_grad_() for value in values)
        moved = x.contiguous(memory_format=layout)
        if whole:
            found = staircase(moved, gain, threshold, step, stairs(steps, zero, gradient, level))
        else:
            position = (moved * gain - threshold) / step + zero
            inside = position.clamp(0, steps)
            number = (inside + 0.5).floor()
            if gradient == "quadratic":
                v = (2 * position - 1).clamp(-1, 1)
                inside = (2 * v - v * v.abs()) / 2
            if gradient == "clip":  # no share of the inside in the gradient of the step
                inside = (moved * gain - threshold) / step.detach() + zero
                inside = inside.clamp(0, steps)
                outside = (position < 0) | (position > steps)
                found = step.detach() * (stand_in(inside, number) - level)
                found = found + (step - step.detach()) * ((number - level) * outside)
            else:
                found = step * (stand_in(inside, number) - level)
        (found * weights).sum().backward()
        results.append((found, x.grad, gain.grad, threshold.grad, step.grad))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
    assert all(one.abs().sum() > 0 for one in results[0])


def test_stand_ins_return_the_very_numbers():
    smooth = torch.tensor([1 / 3], requires_grad=True)
    hard = torch.tensor([1e8])
    assert torch.equal(stand_in(smooth, hard), hard)
    scale_gradient(smooth, 0.25).sum().backward()
    assert smooth.grad == 0.25
    assert scale_gradient(smooth, 0.25) == smooth


@pytest.mark.parametrize("bits", [0, 9, 2.5, True, "4"])
def test_bits_out_of_range_are_refused(bits):
    with pytest.raises(SpecError, match="1 to 8"):
        activation_quantiser("double_st", bits, 4)
    with pytest.raises(SpecError, match="1 to 8"):
        weight_quantiser("uniform", bits, 4)
    with pytest.raises(SpecError, match="1 to 8"):
        activation_quantiser("fixed", 4, 4).set_bits(bits)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("doubel_st", {}, "did you mean 'double_st'"),
        ("double_st", {"squeez": "batch"}, "did you mean 'squeeze'"),
        ("lsq", {"momentum": 0.1}, "no option 'momentum'"),
        ("double_st", {"squeeze": "batches"}, "did you mean 'batch'"),
        ("double_st", {"momentum": 0}, "momentum"),
        ("double_st", {"reduction": 0}, "reduction"),
        ("fixed", {"levels": "sign"}, "did you mean 'signed'"),
        ("fixed", {"surrogate": "relu"}, "surrogate"),
    ],
)
def test_mistakes_are_named(kind, options, message):
    with pytest.raises(SpecError, match=message):
        activation_quantiser(kind, 4, 4, **options)


def test_unknown_weights():
    with pytest.raises(UnknownNameError, match="did you mean 'uniform'"):
        weight_quantiser("unform", 4, 4)


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


def test_meta_tensors_pass():
    quantiser = activation_quantiser("double_st", 4, 6)
    assert quantiser.eval()(torch.empty(2, 6, 3, 3, device="meta")).shape == (2, 6, 3, 3)


def test_mixed_precision_leaves_thresholds_whole():
    quantiser = trained("double_st", 4)
    with torch.autocast("cpu", torch.bfloat16):
        found = quantiser(images().bfloat16())
    assert found.dtype == torch.bfloat16
    assert quantiser.average_gain.dtype == torch.float32
