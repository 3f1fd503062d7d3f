"""Weights of candidates, schedules, and the readings of forward-and-backward scaling."""

from __future__ import annotations

import math

import pytest
import torch
from nasplug_darts_lp.supernet import mixing
from nasplug_darts_lp.supernet.logits import Logits
from nasplug_darts_lp.supernet.mixing import Mixing
from nasplug_darts_lp.supernet.scaling import WeightedSum
from nasplug_darts_lp.supernet.schedules import check_schedule, learning_rate

from nasplug.contract.errors import SpecError, TrialError

LOGITS = torch.tensor([0.5, -1.0, 1.5, 0.0])


@pytest.mark.parametrize("kind", ["softmax", "gumbel", "gumbel_hard"])
def test_weights_are_a_distribution(kind):
    torch.manual_seed(0)
    for temperature in (5.0, 1.0, 0.1):
        weights = Mixing(kind).weights(LOGITS, temperature)
        assert weights.sum() == pytest.approx(1.0, abs=1e-6)
        assert (weights >= 0).all()


def test_softmax_has_no_noise():
    assert torch.equal(Mixing("softmax").weights(LOGITS, 1.0), torch.softmax(LOGITS, 0))


@pytest.mark.parametrize("temperature", [5.0, 0.1])
def test_hard_samples_follow_the_softmax_at_any_temperature(temperature):
    generator = torch.Generator().manual_seed(0)
    samples = torch.stack([Mixing("gumbel_hard").weights(LOGITS, temperature, generator) for _ in range(4000)])
    assert set(samples.round(decimals=5).unique().tolist()) == {0.0, 1.0}
    assert samples.mean(0).tolist() == pytest.approx(torch.softmax(LOGITS, 0).tolist(), abs=0.03)


def test_a_low_temperature_sharpens():
    def largest(temperature):
        generator = torch.Generator().manual_seed(0)
        return sum(float(Mixing("gumbel").weights(LOGITS, temperature, generator).max()) for _ in range(200)) / 200

    assert largest(5.0) < 0.5 < 0.9 < largest(0.1)


def test_hard_samples_pass_the_gradient_of_soft_ones():
    gradients = []
    for kind in ("gumbel", "gumbel_hard"):
        logits = LOGITS.clone().requires_grad_()
        weights = Mixing(kind).weights(logits, 0.7, torch.Generator().manual_seed(3))
        (weights * torch.arange(4.0)).sum().backward()
        gradients.append(logits.grad)
    assert torch.equal(*gradients)
    assert gradients[0].abs().sum() > 0


@pytest.mark.parametrize("kind", ["softmax", "gumbel", "gumbel_hard"])
def test_equal_candidates_leave_no_remainder_on_their_logits(kind):
    """Rounding alone would be a gradient, too, and Adam makes a whole step of the smallest one."""
    logits = LOGITS.clone().requires_grad_()
    for seed in range(20):
        weights = Mixing(kind).weights(logits, 0.1, torch.Generator().manual_seed(seed))
        (weights * 0.3).sum().backward()
    assert logits.grad.abs().max() == 0


def test_a_sample_that_is_not_finite_is_redrawn(monkeypatch):
    samples = [torch.full((4,), math.inf), torch.tensor([math.nan, 0, 0, 0]), torch.zeros(4)]
    monkeypatch.setattr(mixing, "gumbel", lambda *_: samples.pop(0))
    weights = Mixing("gumbel").weights(LOGITS, 1.0)
    assert samples == []
    assert torch.allclose(weights, torch.softmax(LOGITS, 0))


@pytest.mark.parametrize("kind", ["softmax", "gumbel", "gumbel_hard"])
def test_logits_that_are_not_finite_fail(kind):
    with pytest.raises(TrialError, match="not finite") as caught:
        Mixing(kind).weights(torch.tensor([math.nan, 0.0]), 1.0)
    assert caught.value.kind == "nan"


def test_temperatures():
    assert [Mixing("gumbel").temperature_at(p) for p in (0.0, 0.5, 1.0)] == pytest.approx([5.0, 2.55, 0.1])
    assert [Mixing("softmax").temperature_at(p) for p in (0.0, 1.0)] == [1.0, 1.0]
    exponential = Mixing("gumbel", (10.0, 0.1), "exponential")
    assert [exponential.temperature_at(p) for p in (0.0, 0.5, 1.0)] == pytest.approx([10.0, 1.0, 0.1])
    assert Mixing("gumbel", (2.0, 1.0), "constant").temperature_at(1.0) == 2.0


def test_learning_rates():
    steps = [0.0, 0.25, 0.5, 1.0]
    assert [learning_rate("cosine", p, 1.0, 0.2) for p in (0.0, 0.5, 1.0)] == pytest.approx([1.0, 0.6, 0.2])
    assert [learning_rate("constant", p, 0.3) for p in steps] == [0.3] * 4
    for p in steps:  # one rises as the other falls
        assert learning_rate("inverted", p, 1.0) == pytest.approx(1.0 - learning_rate("cosine", p, 1.0))
    assert learning_rate("inverted", 0.0, 1.0) == 0.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Mixing("gumble"), "did you mean 'gumbel'"),
        (lambda: Mixing(annealing="linaer"), "did you mean 'linear'"),
        (lambda: Mixing(temperature=(0.0, 1.0)), "temperature"),
        (lambda: check_schedule("invert"), "did you mean 'inverted'"),
        (lambda: WeightedSum(3, "gradients"), "did you mean 'gradient'"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(SpecError, match=message):
        make()


def test_logits_start_near_uniform_and_leave_out_what_is_certain():
    torch.manual_seed(0)
    logits = Logits({"op": 3, "bits": 1, "edges": 2}, plain=["edges"])
    assert sum(p.numel() for p in logits.parameters()) == 5
    weights = logits.sample(Mixing("gumbel_hard"), 1.0)
    assert weights["bits"].tolist() == [1.0]
    assert weights["edges"].tolist() == pytest.approx([0.5, 0.5], abs=0.01)  # never sampled
    assert sorted(weights["op"].round(decimals=5).tolist()) == [0.0, 0.0, 1.0]
    assert logits.probabilities()["op"].tolist() == pytest.approx([1 / 3] * 3, abs=0.01)
    assert logits.one_hot({"op": 2})["op"].tolist() == [0.0, 0.0, 1.0]
    assert logits.finite()
    logits.op.data[0] = math.inf
    assert not logits.finite()


# -- forward-and-backward scaling --------------------------------------------------------------------------------------


def outputs_and_gradients(reading, weights, probabilities=None, scales=(1.0, 2.0, 5.0), steps=1):
    """The sum, dL/dz and dL/do_k for a fixed upstream gradient."""
    torch.manual_seed(0)
    outputs = [(scale * torch.randn(4, 3)).requires_grad_() for scale in scales]
    weights = torch.tensor(weights).requires_grad_()
    upstream = torch.randn(4, 3)
    module = WeightedSum(3, reading)
    for _ in range(steps):
        y = module(outputs, weights, probabilities)
    (y * upstream).sum().backward()
    return y.detach(), weights.grad, [o.grad for o in outputs], outputs, upstream


def test_gradient_equalisation_changes_nothing_forward_and_keeps_the_gradient_of_the_weights():
    weights = [0.7, 0.2, 0.1]
    plain, plain_z, plain_o, _, upstream = outputs_and_gradients("none", weights)
    equal, equal_z, equal_o, _, _ = outputs_and_gradients("gradient", weights)
    assert torch.allclose(plain, equal)
    assert torch.allclose(plain_z, equal_z)
    for weight, first, second in zip(weights, plain_o, equal_o, strict=True):
        assert torch.allclose(first, weight * upstream)
        assert torch.allclose(second, upstream / 3)


def test_normalisation_takes_the_size_of_an_output_out_and_leaves_its_gradient():
    weights = [0.7, 0.2, 0.1]
    y, z, o, outputs, upstream = outputs_and_gradients("normalise", weights)
    unit = [output.detach() / output.detach().square().mean().sqrt() for output in outputs]
    assert torch.allclose(y, sum(w * u for w, u in zip(weights, unit, strict=True)), atol=1e-6)
    assert torch.allclose(z, torch.stack([(u * upstream).sum() for u in unit]), atol=1e-5)
    for weight, gradient in zip(weights, o, strict=True):
        assert torch.allclose(gradient, weight * upstream)


def test_running_sizes_are_those_of_training():
    module = WeightedSum(1, "normalise", momentum=0.5)
    module([torch.full((4,), 2.0)], torch.ones(1))
    assert module.rms.tolist() == [2.0]
    module([torch.full((4,), 4.0)], torch.ones(1))
    assert module.rms.tolist() == [3.0]
    assert module.eval()([torch.full((4,), 6.0)], torch.ones(1)).tolist() == [2.0] * 4
    assert module.rms.tolist() == [3.0]


def test_importance_weighting_gives_every_candidate_the_same_expected_gradient():
    probabilities = torch.tensor([0.6, 0.3, 0.1])
    expected = [torch.zeros(4, 3) for _ in range(3)]
    for sampled in range(3):
        weights = [float(k == sampled) for k in range(3)]
        y, _, gradients, outputs, upstream = outputs_and_gradients("importance", weights, probabilities)
        assert torch.allclose(y, outputs[sampled].detach())
        for k, gradient in enumerate(gradients):
            expected[k] += probabilities[sampled] * gradient
    for total in expected:
        assert torch.allclose(total, upstream, atol=1e-5)


def test_importance_weights_are_bounded():
    _, _, gradients, _, upstream = outputs_and_gradients("importance", [1.0, 0.0, 0.0], torch.tensor([1e-9, 0.5, 0.5]))
    assert torch.allclose(gradients[0], upstream * 30)  # floor 0.1 / 3
