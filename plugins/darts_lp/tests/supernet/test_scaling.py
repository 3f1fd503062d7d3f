"""Tests of `nasplug_darts_lp.supernet.scaling`."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.supernet.scaling import WeightedSum


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


def test_an_output_of_zeros_stays_zero_until_it_has_a_size():
    module, weights = WeightedSum(2, "normalise", momentum=0.5), torch.tensor([0.5, 0.5])
    zeros, threes = torch.zeros(4), torch.full((4,), 3.0)
    assert module([zeros, threes], weights).tolist() == [0.5] * 4
    assert module.eval()([zeros, threes], weights).tolist() == [0.5] * 4
    assert module.train()([threes, threes], weights).tolist() == [1.0] * 4  # its first size, not a mean with zero
    assert module.rms.tolist() == [3.0, 3.0]
    never = WeightedSum(2, "normalise").eval()
    assert never([zeros, threes], weights).tolist() == [1.5] * 4


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


@pytest.mark.parametrize("training", [True, False])
def test_an_output_of_exactly_zero_stays_zero(training):
    """Its root mean square is 0, and nothing may be divided by it."""
    zero, other = torch.zeros(3, requires_grad=True), torch.full((3,), 2.0, requires_grad=True)
    weights = torch.tensor([0.25, 0.75], requires_grad=True)
    module = WeightedSum(2, "normalise").train(training)
    y = module([zero, other], weights)
    y.sum().backward()
    assert y.tolist() == [0.75 * (1.0 if training else 2.0)] * 3
    assert zero.grad.tolist() == [0.25] * 3
    assert weights.grad.tolist() == [0.0, 3.0 if training else 6.0]


def test_the_first_output_that_is_not_zero_sets_the_size():
    module = WeightedSum(1, "normalise", momentum=0.5)
    module([torch.zeros(4)], torch.ones(1))
    assert module.rms.tolist() == [0.0]
    assert module([torch.full((4,), 4.0)], torch.ones(1)).tolist() == [1.0] * 4
    assert module.rms.tolist() == [4.0]
    module([torch.zeros(4)], torch.ones(1))
    assert module.rms.tolist() == [2.0]
