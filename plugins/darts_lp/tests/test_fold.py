"""Folded networks compute the same whole numbers."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.folding import agreement, fold, save, size
from nasplug_darts_lp.folding.modules import IntegerConv2d, Thresholds
from nasplug_darts_lp.folding.operators import conv_integer, matmul_integer
from nasplug_darts_lp.folding.size import pack, packed, unpack
from nasplug_darts_lp.folding.thresholds import integer_thresholds
from nasplug_darts_lp.layers.quantise import quantise
from nasplug_darts_lp.quantisers import ACTIVATIONS, WEIGHTS
from torch import nn

from nasplug.contract.errors import SpecError, TaskError


class Residual(nn.Module):
    def __init__(self, inputs, channels, stride=1, groups=1, act=nn.ReLU):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.bn1, self.act1 = nn.BatchNorm2d(channels), act()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding="same", groups=groups)
        self.bn2, self.act2 = nn.BatchNorm2d(channels), act()
        same = stride == 1 and inputs == channels
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, channels, 1, stride)

    def forward(self, x):
        return self.act2(self.bn2(self.conv2(self.act1(self.bn1(self.conv1(x))))) + self.shortcut(x))


def residual(groups=1, act=nn.ReLU):
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        act(),
        Residual(8, 8, groups=groups, act=act),
        Residual(8, 12, stride=2, act=act),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, 5),
    )


def plain(act=nn.ReLU):
    """Without any addition: all comparisons but the first are of whole numbers."""
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), act(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 8, 3, padding=1, dilation=1, groups=8), nn.BatchNorm2d(8), nn.Identity()),
        *(nn.Conv2d(8, 6, 1), nn.BatchNorm2d(6), act(), nn.Dropout(0.5)),
        nn.Conv2d(6, 4, 2, stride=2),
    )


def ready(network, seed=0, shape=(3, 11, 11), **settings):
    """Quantised, a few steps trained, with normalisation of both signs."""
    torch.manual_seed(seed)
    quantised = quantise(network, **settings)
    for module in quantised.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias, std=0.3)
            module.weight.data[0] = 0.0
    optimiser = torch.optim.Adam(quantised.parameters(), lr=0.01)
    for _ in range(2):
        optimiser.zero_grad()
        quantised(torch.randn(6, *shape)).square().mean().backward()
        optimiser.step()
    return quantised.eval()


def images(seed=0, shape=(3, 11, 11)):
    return 2 * torch.randn(5, *shape, generator=torch.Generator().manual_seed(seed))


def parts(folded, kind):
    return [module for module in folded.modules() if isinstance(module, kind)]


@pytest.mark.parametrize("kind", list(ACTIVATIONS))
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_residual_networks_are_exact(kind, bits):
    network = ready(residual(), weight_bits=bits, activation_bits=bits, activations=kind)
    found = agreement(network, fold(network, (3, 11, 11)), images())
    assert found.exact, found
    assert found.integers > 10_000


@pytest.mark.parametrize("seed", range(8))
def test_random_networks_are_exact(seed):
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


def test_comparisons_are_of_whole_numbers_where_nothing_is_added():
    network = ready(plain())
    folded = fold(network, (3, 11, 11))
    assert [part.integer for part in parts(folded, Thresholds)] == [False, True, True, True]
    assert agreement(network, folded, images()).exact
    assert not [module for module in folded.modules() if isinstance(module, nn.BatchNorm2d)], "folded away"


def test_falling_and_constant_channels_are_compared_the_other_way_round():
    network = ready(plain())
    network[1].weight.data.copy_(torch.tensor([-1.0, 1, 0, -2, 2, -0.5, 0.5, 0]))
    folded = fold(network, (3, 11, 11))
    pooled = parts(folded, Thresholds)[1]
    assert pooled.integer
    assert pooled.signs.tolist() == [-1, 1, 1, -1, 1, -1, 1, 1]
    assert agreement(network, folded, images()).exact


def test_residual_additions_are_compared_as_values():
    folded = fold(ready(residual()), (3, 11, 11))
    kinds = [part.integer for part in parts(folded, Thresholds)]
    assert kinds.count(True) >= 2, "inside the blocks"
    assert kinds.count(False) >= 2, "behind the additions"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2_035", "efficientnet_b0", "mobilenetv3_small_050"])
def test_networks_of_timm_are_exact(name):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    network = ready(timm.create_model(name, num_classes=3), shape=(3, 32, 32))
    found = agreement(network, fold(network, (3, 32, 32)), images(shape=(3, 32, 32)))
    assert found.exact, found


def test_layers_in_floating_point_stay():
    network = ready(residual(), first_last_bits=None, skip=["3.conv2"])
    folded = fold(network, (3, 11, 11))
    assert sum(isinstance(module, nn.Conv2d) for module in folded.modules()) == 2
    assert agreement(network, folded, images()).exact


def test_linear_layers_on_rows_and_on_tokens():
    tokens = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    for shape in ((6,), (5, 6)):
        network = ready(tokens, shape=shape)
        assert agreement(network, fold(network, shape), images(shape=shape)).exact


def test_a_layer_used_twice():
    layer = nn.Conv2d(4, 4, 3, padding=1)
    network = ready(nn.Sequential(layer, nn.ReLU(), layer), shape=(4, 6, 6))
    folded = fold(network, (4, 6, 6))
    assert len(folded.products["0"]) == 2
    assert agreement(network, folded, images(shape=(4, 6, 6))).exact


class InPlace(nn.Module):
    """The shortcut reads a tensor that was changed in place by then."""

    def __init__(self, how):
        super().__init__()
        self.how = how
        self.conv1, self.conv2, self.conv3 = (nn.Conv2d(4, 4, 3, padding=1) for _ in range(3))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        first = self.conv1(x)
        if self.how == "module":
            changed = self.relu(first)
        elif self.how == "function":
            changed = nn.functional.relu(first, inplace=True)
        else:
            changed = first.relu_()
        second = self.conv2(changed)
        third = self.conv3(second)
        third += first
        return third


@pytest.mark.parametrize("how", ["module", "function", "method"])
def test_changes_in_place_are_followed(how):
    network = ready(InPlace(how), shape=(4, 6, 6))
    assert agreement(network, fold(network, (4, 6, 6)), images(shape=(4, 6, 6))).exact


def test_a_change_that_the_graph_does_not_show_is_noticed():
    class Renamed(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 1)

        def forward(self, x):
            first = self.conv(x)
            second = first
            second += 1.0  # changes `first`, too; torch.fx sees a new tensor
            return first * 1.0

    with pytest.raises(TaskError, match="another name as well"):
        fold(ready(Renamed(), shape=(4, 6, 6)), (4, 6, 6))


def test_a_pool_in_front_of_a_falling_map_is_compared_as_values():
    layers = nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1)
    network = ready(nn.Sequential(*layers))
    folded = fold(network, (3, 11, 11))
    assert [part.integer for part in parts(folded, Thresholds)] == [False, False]
    assert agreement(network, folded, images()).exact


def test_inputs_of_another_shape_are_refused():
    with pytest.raises(TaskError, match="folded for"):
        fold(ready(plain()), (3, 11, 11))(torch.zeros(1, 3, 12, 12))


def test_the_squeeze_is_gone_and_training_mode_with_it():
    folded = fold(ready(residual()), (3, 11, 11))
    assert not list(folded.parameters())
    assert not folded.train().training
    assert not [name for name, _ in folded.named_modules() if "threshold" in name.split(".")[-1]]


def test_a_fault_would_be_seen():
    """The comparison finds a single threshold that is off by one, and weights that are off by one."""
    network = ready(plain(), weight_bits=2, activation_bits=2, first_last_bits=2)
    folded = fold(network, (3, 11, 11))
    comparison = parts(folded, Thresholds)[1]
    comparison.thresholds += 1
    assert agreement(network, folded, images()).differing > 0
    comparison.thresholds -= 1
    product = parts(folded, IntegerConv2d)[1]
    product.weight[:, 0, 1, 1] ^= 1
    assert agreement(network, folded, images()).differing > 0


@pytest.mark.parametrize("slope", [1.0, -1.0, 0.0, 1e-3, -7.7])
def test_integer_thresholds_are_those_of_a_full_search(slope):
    wanted = torch.tensor([[-3.0, 0.05, 0.0501, 9.0, 1e9]])

    def value(sums):
        return sums.float() * slope + 0.05

    found, signs = integer_thresholds(value, wanted, 40)
    every = torch.arange(-40, 41)[:, None]
    expected = (value(every)[:, 0, None] >= wanted[0]).sum(1)
    reached = ((signs * every)[:, 0, None] >= found[0]).sum(1)
    assert torch.equal(reached, expected)
    assert found[0, -1] == 41, "never"


def test_sums_that_do_not_fit_are_refused():
    with pytest.raises(SpecError, match="32 bits"):
        integer_thresholds(lambda sums: sums.float(), torch.zeros(1, 1), 2**31)


def test_operators_are_exact_products():
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 256, (2, 6, 7, 5), generator=generator, dtype=torch.uint8)
    weight = torch.randint(0, 256, (4, 3, 3, 2), generator=generator, dtype=torch.uint8)
    found = conv_integer(codes, weight, 7, 128, [2, 1], [1, 0, 2, 1], [1, 2], 2)
    padded = nn.functional.pad(codes.double() - 7, (0, 1, 1, 2))
    expected = nn.functional.conv2d(padded, weight.double() - 128, None, (2, 1), 0, (1, 2), 2)
    assert found.dtype == torch.int32
    assert torch.equal(found.double(), expected)
    rows, columns = codes[:, 0, 0], weight[0].flatten(1)[:, :5].t()
    assert torch.equal(matmul_integer(rows, columns, 3, 128).long(), (rows.long() - 3) @ (columns.long() - 128))
    torch.library.opcheck(conv_integer, (codes, weight, 7, 128, [2, 1], [1, 0, 2, 1], [1, 2], 2))


@pytest.mark.parametrize("bits", range(1, 9))
def test_packing_loses_nothing(bits):
    generator = torch.Generator().manual_seed(bits)
    odd = 2 * torch.randint(-(2 ** (bits - 1)), 2 ** (bits - 1), (29,), generator=generator) + 1
    assert torch.equal(unpack(pack(odd, bits), bits, 29, odd=True), odd.int())
    if bits > 1:
        most = 2 ** (bits - 1) - 1
        numbers = torch.randint(-most, most + 1, (29,), generator=generator)
        stream = pack(numbers, bits)
        assert len(stream) == -(-29 * bits // 8)
        assert torch.equal(unpack(stream, bits, 29), numbers.int())


def test_size_counts_bits(tmp_path):
    folded = fold(ready(plain(), weight_bits=3, activation_bits=2, first_last_bits=8), (3, 11, 11))
    found = size(folded)
    assert found.weights == 8 * 3 * 9 + (8 * 9 * 3 + 7) // 8 + (6 * 8 * 3 + 7) // 8 + 4 * 6 * 4
    assert found.thresholds >= 4 * (3 * 255 + 8 * 3 + 8 * 3 + 6 * 255)
    assert found.total == sum(tensor.numel() * tensor.element_size() for tensor in packed(folded).values())
    written = save(folded, tmp_path / "folded.safetensors")
    assert found.total < written < found.total + 4096


def test_mistakes_are_named():
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
