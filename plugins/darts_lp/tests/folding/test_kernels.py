"""Tests of `nasplug_darts_lp.folding.kernels`: networks for integer kernels beside the exact ones."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.folding import deviation, fold, qdq
from nasplug_darts_lp.folding.kernels import FloatConv2d, FloatProduct, QdqConv2d, QuantizeValues, _straight
from nasplug_darts_lp.folding.modules import EvenThresholds, IntegerConv2d, Requantise, Rescale
from nasplug_darts_lp.layers.quantise import quantise
from torch import nn

from nasplug.contract.errors import SpecError


def network(act=nn.ReLU, channels=8, wide=12):
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, channels, 3, padding=1), nn.BatchNorm2d(channels), act(), nn.MaxPool2d(2)),
        *(nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide), act()),
        *(nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False), nn.BatchNorm2d(wide)),
        *(nn.Conv2d(wide, channels, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)),
    )


def trained(base, **settings):
    """A few steps on noise, with normalisation of both signs."""
    quantised = quantise(base, **settings)
    for module in quantised.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias, std=0.3)
    optimiser = torch.optim.Adam(quantised.parameters(), lr=0.01)
    for _ in range(3):
        optimiser.zero_grad()
        quantised(torch.randn(8, 3, 16, 16)).square().mean().backward()
        optimiser.step()
    return quantised.eval()


def kinds(folded, kind):
    return [module for module in folded.modules() if isinstance(module, kind)]


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("act", [nn.ReLU, nn.ReLU6, nn.SiLU])
@pytest.mark.parametrize("activations", ["lsq", "double_st"])
def test_codes_differ_by_one_at_most_and_outputs_little(bits, act, activations):
    folded = fold(trained(network(act), weight_bits=bits, activation_bits=bits, activations=activations), (3, 16, 16))
    form = qdq(folded)
    inputs = torch.randn(16, 3, 16, 16)
    found = deviation(form(inputs), folded(inputs))
    assert found.mean < (0.15 if bits == 4 else 0.03)
    assert kinds(form, QdqConv2d)
    assert len(kinds(form, Requantise)) == 0  # from 4 bits on, all of them have the form
    lines = kinds(folded, Requantise)
    assert lines
    for convolution in kinds(form, QdqConv2d):
        assert convolution.weight.dtype == torch.int8
        assert (convolution.scale > 0).all()


def test_the_largest_difference_of_codes_is_that_over_all_sums():
    """Every sum that may occur is tried by hand."""
    folded = fold(trained(network(), weight_bits=8, activation_bits=8), (3, 16, 16))
    graph = folded.body.graph
    modules = dict(folded.body.named_modules())
    checked = 0
    for node in graph.nodes:
        product = modules.get(str(node.target))
        if not isinstance(product, IntegerConv2d):
            continue
        line = modules.get(str(next(iter(node.users)).target))
        if not isinstance(line, Requantise):
            continue
        made = QdqConv2d(product, line, 0)
        numbers = (product.weight.to(torch.int64) - 128).abs().flatten(1).sum(1)
        bound = min(int(numbers.max()) * 255, 200_000)
        sums = torch.arange(-bound, bound + 1, dtype=torch.int32)[:, None].expand(-1, len(line.slope))
        sign = torch.where(_straight(line)[0] < 0, -1, 1).to(torch.int32)
        apart = (made.codes_of(sums * sign) - line(sums).float()).abs()
        assert int(apart.max()) <= made.deviation(line) <= 1
        assert float((apart > 0).float().mean()) < 0.02
        checked += 1
    assert checked == 3


def test_products_of_values_run_in_floating_point_with_their_scales_and_shifts():
    folded = fold(trained(network(nn.SiLU), weight_bits=8, activation_bits=8), (3, 16, 16))
    form = qdq(folded)
    made = kinds(form, FloatConv2d)
    assert made
    assert len(kinds(folded, Rescale)) > 1
    assert len(kinds(form, Rescale)) == 1  # that of the linear layer at the end
    assert all(module.weight.dtype == torch.int8 for module in made)


@pytest.mark.parametrize("padding", [(0, 0, 0, 0), (1, 1, 1, 1), (0, 1, 2, 0)])
@pytest.mark.parametrize("zero", [0, 7])
def test_a_convolution_in_floating_point_is_the_scaled_and_shifted_one(padding, zero):
    folded = fold(trained(network(nn.SiLU), weight_bits=8, activation_bits=8), (3, 16, 16))
    (product,) = [module for module in kinds(folded, IntegerConv2d) if module.groups == 12]
    product.padding, product.zero = padding, zero
    codes = torch.randint(0, 256, (2, 12, 6, 5), dtype=torch.uint8)
    scale, bias = torch.rand(12) - 0.5, torch.randn(12)
    expected = product(codes).double() * scale.view(-1, 1, 1) + bias.view(-1, 1, 1)
    found = FloatConv2d(product, scale, bias)(codes)
    torch.testing.assert_close(found, expected.float(), rtol=1e-5, atol=1e-2 * float(scale.abs().max()))


def test_depthwise_products_are_exact_in_floating_point():
    folded = fold(trained(network(nn.SiLU), weight_bits=8, activation_bits=8), (3, 16, 16))
    codes = torch.randint(0, 256, (2, 12, 5, 5), dtype=torch.uint8)
    (product,) = [module for module in kinds(folded, IntegerConv2d) if module.groups == 12]
    assert torch.equal(FloatProduct(product)(codes), product(codes).float())


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("first", [0.05, -12.75, 0.0321])
def test_even_thresholds_of_values_become_one_rounding(rows, first):
    steps = torch.arange(255) * 0.1 + first
    thresholds = (steps[None] * torch.linspace(1, 2, rows)[:, None]).to(torch.float32)
    assert QuantizeValues.fits(thresholds, 1)
    values = torch.randn(2, 3, 50, 4, generator=torch.Generator().manual_seed(0)) * 8
    reached = (values[..., None] >= thresholds[:, None, None]).sum(-1)
    near = ((values[..., None] - thresholds[:, None, None]).abs() < 2e-4).any(-1)
    found = QuantizeValues(thresholds)(values).long()
    assert (found == reached)[~near].all()
    assert (found - reached).abs().max() <= 1


def test_uneven_or_few_thresholds_stay():
    assert not QuantizeValues.fits(torch.tensor([[0.0, 1, 2]]), 1)
    assert not QuantizeValues.fits(torch.arange(255.0)[None].square(), 1)
    assert not QuantizeValues.fits(torch.arange(255.0)[None], 2)
    folded = fold(trained(network(), weight_bits=2, activation_bits=2, first_last_bits=None), (3, 16, 16))
    assert not kinds(folded, Requantise)
    assert not kinds(folded, EvenThresholds)
    with pytest.raises(SpecError, match="fewer than 4 bits"):
        qdq(folded)
