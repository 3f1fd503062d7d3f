"""Tests of `nasplug_darts_lp.folding.sums`: folded networks that add and average codes."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.folding import agreement, export_onnx, export_qdq, fold, qdq
from nasplug_darts_lp.folding.kernels import QdqAdd
from nasplug_darts_lp.folding.modules import Comparison, Rescale
from nasplug_darts_lp.folding.sums import CodeSum, IntegerAdd, window_of
from nasplug_darts_lp.layers.exact import ExactAvgPool
from nasplug_darts_lp.quantisers.base import short_float
from torch import nn


def whole(folded, parts):
    """Comparisons of values, and scales of values, that are left."""
    values = [part for part in parts(folded, Comparison) if not part.integer]
    return len(values), len(parts(folded, Rescale))


@pytest.mark.parametrize(("bits", "kind"), [(1, "lsq"), (2, "double_st"), (4, "pact"), (8, "fixed")])
def test_residual_networks_have_whole_numbers_only(images, parts, ready, residual, bits, kind):
    network = ready(residual(), weight_bits=bits, activation_bits=bits, activations=kind, sums="integer")
    folded = fold(network, (3, 11, 11))
    found = agreement(network, folded, images())
    assert found.exact, found
    assert len(parts(folded, IntegerAdd)) == 2
    assert len(parts(folded, CodeSum)) == 1
    # The input becomes codes, and the sums of the last layer become the outputs.
    assert whole(folded, parts) == (1, 1)


@pytest.mark.parametrize("act", [nn.ReLU6, nn.Hardtanh, nn.SiLU])
def test_other_activation_functions_are_exact(images, ready, residual, act):
    network = ready(residual(act=act), sums="integer")
    found = agreement(network, fold(network, (3, 11, 11)), images())
    assert found.exact, found


class Wide(nn.Module):
    """Pools, and maps side by side."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 6, 1)
        self.pool, self.last = nn.AvgPool2d(2), nn.Conv2d(10, 4, 1)
        self.most, self.end = nn.MaxPool2d(2), nn.Linear(16, 3)

    def forward(self, x):
        x = torch.cat([torch.relu(self.one(x)), self.two(x)], 1)
        x = torch.relu(self.last(self.pool(x)))
        return self.end(torch.flatten(self.most(x), 1))


@pytest.mark.parametrize("sums", ["float", "integer"])
def test_concatenations_and_pools(images, parts, ready, sums):
    network = ready(Wide(), shape=(3, 8, 8), sums=sums, activations="lsq")
    folded = fold(network, (3, 8, 8))
    assert agreement(network, folded, images(shape=(3, 8, 8))).exact
    if sums == "integer":  # two layers code the input, each its own way
        assert whole(folded, parts) == (2, 1)


@pytest.mark.slow
def test_onnx_has_the_same_numbers(images, parts, ready, residual, tmp_path):
    pytest.importorskip("onnxruntime")
    network = ready(residual(), sums="integer", activations="lsq")
    folded = fold(network, (3, 11, 11))
    export_onnx(folded, tmp_path / "exact.onnx", check=8)
    apart = export_qdq(folded, tmp_path / "kernels.onnx", check=images())
    assert apart.mean < 0.15
    assert len(parts(qdq(folded), QdqAdd)) == 2


def test_additions_for_kernels_differ_by_one_code_at_most(parts, ready, residual):
    folded = fold(ready(residual(), sums="integer"), (3, 11, 11))
    a, b = (axis.to(torch.uint8) for axis in torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij"))
    for added in parts(folded, IntegerAdd):
        apart = QdqAdd(added)(a, b).int() - added(a, b).int()
        assert apart.abs().max() <= 1
        assert (apart != 0).float().mean() < 0.01


@pytest.mark.parametrize(
    ("pool", "size", "places"),
    [
        (nn.AdaptiveAvgPool2d(1), (3, 5), 15),
        (nn.AdaptiveAvgPool2d((2, None)), (4, 3), 2),
        (nn.AdaptiveAvgPool2d(2), (3, 4), None),
        (nn.AvgPool2d(3, 2, 1), (7, 7), 9),
        (nn.AvgPool2d(3, 2, 1, count_include_pad=False), (7, 7), None),
        (nn.AvgPool2d(2, ceil_mode=True), (6, 6), 4),
        (nn.AvgPool2d(2, ceil_mode=True), (7, 6), None),
        (nn.AvgPool2d(2, divisor_override=3), (6, 6), None),
    ],
)
def test_sums_of_windows_give_what_the_pool_gives(pool, size, places):
    exact = ExactAvgPool(pool).eval()
    window = window_of(exact, size)
    assert places == (None if window is None else window.places)
    if window is None:
        return
    unit, codes = short_float(torch.tensor(0.1731)), torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8)
    sums = CodeSum(window, 3, 7)(codes)
    assert torch.equal(window.mean(sums, unit), exact((codes.float() - 7.0) * unit))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet10t", "resnet18", "mobilenetv2_035"])
def test_networks_of_timm_have_whole_numbers_only(images, parts, ready, name):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    network = ready(timm.create_model(name, num_classes=3), shape=(3, 32, 32), activations="lsq", sums="integer")
    folded = fold(network, (3, 32, 32))
    found = agreement(network, folded, images(shape=(3, 32, 32)))
    assert found.exact, found
    assert whole(folded, parts) == (1, 1)
