"""Tests of `nasplug_darts_lp.supernet.convolution`."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from nasplug_darts_lp.supernet.convolution import ConvChoices, SeparateConvNorm, SharedConv, SharedConvNorm, conv_norm

CHOICES = ConvChoices(4, 6, (3, 5), weight_bits=(1, 2, 4), activation_bits=(2, 8))


def one_hot(size, index):
    found = torch.zeros(size)
    found[index] = 1.0
    return found


def same_weights(choices):
    """A shared and a separate form whose candidates all have the shared weights."""
    torch.manual_seed(0)
    shared, separate = SharedConvNorm(choices), SeparateConvNorm(choices)
    for candidate in separate.candidates:
        size = candidate.conv.choices.kernels[0]
        cut = (max(choices.kernels) - size) // 2
        with torch.no_grad():
            candidate.conv.weight.copy_(shared.conv.weight[:, :, cut : cut + size, cut : cut + size])
    return shared, separate


@pytest.mark.parametrize("index", list(itertools.product(range(2), range(3), range(2))))
def test_for_a_single_choice_both_forms_are_one(index):
    shared, separate = same_weights(CHOICES)
    x = torch.randn(2, 4, 7, 7)
    weights = [one_hot(size, p) for size, p in zip((2, 3, 2), index, strict=True)]
    assert torch.allclose(shared(x, *weights), separate(x, *weights), atol=1e-5)


def test_a_mixture_is_the_mixture_of_all_convolutions():
    """A convolution is bilinear: one of two mixtures is the mixture of all pairs."""
    shared, separate = same_weights(CHOICES)
    x = torch.randn(2, 4, 7, 7)
    kernel, weight_bits, activation_bits = (torch.rand(size).softmax(0) for size in (2, 3, 2))
    found = shared.conv(x, kernel, weight_bits, activation_bits)
    pairs = torch.einsum("k,i,j->kij", kernel, weight_bits, activation_bits).flatten()
    one = torch.ones(1)
    wanted = sum(p * c.conv(x, one, one, one) for p, c in zip(pairs, separate.candidates, strict=True))
    assert torch.allclose(found, wanted, atol=1e-5)


def test_gradients_of_mixed_weights():
    """Straight through to the latent weight; to each share what its quantised weight would change."""
    torch.manual_seed(0)
    conv = SharedConv(ConvChoices(4, 6, (3,), weight_bits=(1, 2, 8)))
    shares, one = torch.tensor([0.2, 0.5, 0.3], requires_grad=True), torch.ones(1)
    x = torch.randn(2, 4, 5, 5)
    (conv(x, one, shares, one) ** 2).sum().backward()
    with torch.no_grad():
        values = [quantise(conv.weight) for quantise in conv.quantisers]
    mixed = sum(s * v for s, v in zip(shares.tolist(), values, strict=True)).requires_grad_()
    (F.conv2d(x, mixed, padding=1) ** 2).sum().backward()
    assert torch.allclose(conv.weight.grad, mixed.grad, rtol=1e-4, atol=1e-4)
    assert shares.grad.tolist() == pytest.approx([float((mixed.grad * v).sum()) for v in values], rel=1e-4)


def test_one_weight_for_all_and_one_for_each():
    shared, separate = conv_norm(CHOICES, shared=True), conv_norm(CHOICES, shared=False)
    assert shared.conv.weight.shape == (6, 4, 5, 5)
    assert sum(candidate.conv.weight.numel() for candidate in separate.candidates) == 6 * (6 * 4 * 9 + 6 * 4 * 25)
    assert CHOICES.candidates == len(separate.candidates) == 12


@pytest.mark.parametrize("kind", ["fixed", "lsq", "double_st"])
def test_any_quantiser_can_be_mixed(kind):
    torch.manual_seed(0)
    choices = ConvChoices(4, 6, (3,), weight_bits=(1, 4), activation_bits=(1, 4), activations=kind, weights="lsq")
    conv = SharedConv(choices)
    weights = torch.rand(2).requires_grad_()
    y = conv(torch.randn(3, 4, 5, 5), torch.ones(1), weights, weights)
    y.square().mean().backward()
    assert y.shape == (3, 6, 5, 5)
    assert torch.isfinite(weights.grad).all()
    assert weights.grad.abs().sum() > 0
    assert conv.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("more", [{"stride": 2}, {"dilation": 2}, {"groups": 4}])
def test_in_floating_point_it_is_a_convolution(more):
    choices = ConvChoices(4, 8, (3, 5), **more)
    conv, x = SharedConv(choices), torch.randn(2, 4, 9, 9)
    one = torch.ones(1)
    options = {"stride": 1, "dilation": 1, "groups": 1} | more
    for index, (size, cut) in enumerate(((3, 1), (5, 0))):
        weight = conv.weight[:, :, cut : cut + size, cut : cut + size]
        wanted = F.conv2d(x, weight, padding=options["dilation"] * (size // 2), **options)
        assert torch.allclose(conv(x, one_hot(2, index), one, one), wanted, atol=1e-5)
