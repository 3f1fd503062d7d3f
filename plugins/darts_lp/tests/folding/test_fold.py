"""Tests of `nasplug_darts_lp.folding.fold`."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.folding import agreement, fold
from nasplug_darts_lp.folding.modules import Comparison
from nasplug_darts_lp.layers.quantise import quantise
from nasplug_darts_lp.quantisers import ACTIVATIONS, WEIGHTS
from torch import nn

from nasplug.contract.errors import SpecError


@pytest.mark.parametrize("kind", list(ACTIVATIONS))
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_residual_networks_are_exact(images, ready, residual, kind, bits):
    network = ready(residual(), weight_bits=bits, activation_bits=bits, activations=kind)
    found = agreement(network, fold(network, (3, 11, 11)), images())
    assert found.exact, found
    assert found.integers > 10_000


@pytest.mark.parametrize("seed", range(8))
def test_random_networks_are_exact(images, plain, ready, residual, seed):
    """Bits, quantisers, groups, activation functions and levels drawn at random."""
    generator = torch.Generator().manual_seed(seed)

    def draw(options):
        return options[int(torch.randint(len(options), (), generator=generator))]

    act = draw([nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.SiLU])
    made = draw([lambda: residual(draw([1, 2, 4, 8]), act), lambda: plain(act)])
    settings = {
        "weight_bits": draw(range(1, 9)),
        "activation_bits": draw(range(1, 9)),
        "first_last_bits": draw([8, 4]),
        "activations": draw(list(ACTIVATIONS)),
        "weights": draw(list(WEIGHTS)),
        "levels": draw(["auto", "signed", "unsigned", "rectified"]),
    }
    network = ready(made(), seed, **settings)
    found = agreement(network, fold(network, (3, 11, 11)), images(seed))
    assert found.exact, (settings, found)


def test_comparisons_are_of_whole_numbers_where_nothing_is_added(images, parts, plain, ready):
    network = ready(plain())
    folded = fold(network, (3, 11, 11))
    assert [part.integer for part in parts(folded, Comparison)] == [
        False,
        True,
        True,
        True,
    ]
    assert agreement(network, folded, images()).exact
    assert not [module for module in folded.modules() if isinstance(module, nn.BatchNorm2d)], "folded away"


def test_residual_additions_are_compared_as_values(parts, ready, residual):
    folded = fold(ready(residual()), (3, 11, 11))
    kinds = [part.integer for part in parts(folded, Comparison)]
    assert kinds.count(True) >= 2, "inside the blocks"
    assert kinds.count(False) >= 2, "behind the additions"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2_035", "efficientnet_b0", "mobilenetv3_small_050"])
def test_networks_of_timm_are_exact(images, ready, name):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    network = ready(timm.create_model(name, num_classes=3), shape=(3, 32, 32))
    found = agreement(network, fold(network, (3, 32, 32)), images(shape=(3, 32, 32)))
    assert found.exact, found


def test_layers_in_floating_point_stay(images, ready, residual):
    network = ready(residual(), first_last_bits=None, skip=["3.conv2"])
    folded = fold(network, (3, 11, 11))
    assert sum(isinstance(module, nn.Conv2d) for module in folded.modules()) == 2
    assert agreement(network, folded, images()).exact


def test_linear_layers_on_rows_and_on_tokens(images, ready):
    tokens = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    for shape in ((6,), (5, 6)):
        network = ready(tokens, shape=shape)
        assert agreement(network, fold(network, shape), images(shape=shape)).exact


def test_a_layer_used_twice(images, ready):
    layer = nn.Conv2d(4, 4, 3, padding=1)
    network = ready(nn.Sequential(layer, nn.ReLU(), layer), shape=(4, 6, 6))
    folded = fold(network, (4, 6, 6))
    assert len(folded.products["0"]) == 2
    assert agreement(network, folded, images(shape=(4, 6, 6))).exact


def test_the_squeeze_is_gone_and_training_mode_with_it(ready, residual):
    folded = fold(ready(residual()), (3, 11, 11))
    assert not list(folded.parameters())
    assert not folded.train().training
    assert not [name for name, _ in folded.named_modules() if "threshold" in name.split(".")[-1]]


def test_mistakes_are_named(residual):
    with pytest.raises(SpecError, match="quantise it first"):
        fold(residual(), (3, 11, 11))

    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x):
            return self.conv(x) if x.sum() > 0 else x

    with pytest.raises(SpecError, match="Branching cannot be folded"):
        fold(quantise(Branching()), (3, 4, 4))
    with pytest.raises(SpecError, match="cannot be folded"):
        fold(quantise(residual()), (4, 11, 11))
