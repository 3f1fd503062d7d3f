"""Cheaper convolutions in the place of others: which ones, with which weights, and what they cost."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nasplug_reduction import ReductionSpace
from nasplug_reduction.example import small_resnet
from nasplug_reduction.inheritance import inherit
from nasplug_reduction.records import made
from nasplug_reduction.substitution import cropped, factors, lost_by_crop, lost_by_pair, separated, sides, translated
from torch import nn

from nasplug.contract.errors import SpecError, SurgeryError
from nasplug.cost.counts import count_macs, count_params
from nasplug.testing import SpaceConformance

BOTH = ("kernel", "separable")


def space(**settings):
    settings = {"operators": BOTH, **settings}
    return ReductionSpace("nasplug_reduction.example:small_resnet", "random", inputs=(3, 16, 16), **settings)


class TestConformance(SpaceConformance):
    input_shapes = ((3, 16, 16),)

    def make_space(self):
        return space(resolutions=(0.5,))


def chosen(reduction, **options):
    """The original network but for some choices, whose names have `_` for `:` and `.`."""
    named = {choice.name: choice.options[-1] for choice in reduction.choices}
    plain = {name.replace(":", "_").replace(".", "_"): name for name in named}
    return reduction.architecture({**named, **{plain[key]: value for key, value in options.items()}})


# -- one convolution ---------------------------------------------------------------------------------------------


def test_sides():
    assert [sides(n) for n in (3, 5, 7, 11)] == [(1, 3), (3, 5), (3, 5, 7), (3, 5, 7, 9, 11)]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("mode", ["zeros", "reflect"])
def test_a_cropped_kernel_is_the_convolution_without_its_rim(stride, mode):
    conv = nn.Conv2d(4, 6, (5, 3), stride, (2, 1), padding_mode=mode)
    with torch.no_grad():
        conv.weight[:, :, [0, 4]] = 0
    small = cropped(conv, 3)
    assert small.kernel_size == (3, 3)
    x = torch.randn(2, 4, 9, 8)
    assert torch.allclose(small(x), conv(x), atol=1e-6)


def test_a_dilated_kernel_keeps_the_size_of_its_output():
    conv = nn.Conv1d(3, 4, 5, padding=4, dilation=2, groups=1)
    small = cropped(conv, 3)
    assert small.padding == (2,)
    assert small(torch.zeros(1, 3, 12)).shape == conv(torch.zeros(1, 3, 12)).shape


def test_what_is_separable_is_computed_alike():
    conv = nn.Conv3d(4, 6, 3, stride=2, padding=1)
    with torch.no_grad():
        conv.weight.copy_(torch.randn(6, 4, 1, 1, 1) * torch.randn(1, 4, 3, 3, 3))
    pair = separated(conv)
    x = torch.randn(2, 4, 7, 7, 7)
    assert torch.allclose(pair(x), conv(x), atol=1e-4)
    assert count_params(pair) == 4 * 27 + 4 * 6 + 6
    assert lost_by_pair(conv.weight) == pytest.approx(0, abs=1e-9)


def test_the_pair_is_the_nearest_one():
    weight = torch.randn(5, 3, 3, 3)
    depthwise, pointwise = factors(weight)
    rest = float((weight - pointwise * depthwise.transpose(0, 1)).square().sum())
    values = torch.linalg.svdvals(weight.flatten(2).transpose(0, 1))
    assert rest == pytest.approx(float(values[:, 1:].square().sum()), rel=1e-4)
    assert lost_by_pair(weight) == pytest.approx(rest / float(weight.square().sum()), rel=1e-4)


def test_what_a_crop_loses():
    weight = torch.ones(2, 2, 3, 3)
    assert lost_by_crop(weight, 1) == pytest.approx(8 / 9)
    assert lost_by_crop(weight, 3) == 0


# -- the space ---------------------------------------------------------------------------------------------------


def test_choices_stand_behind_widths_and_blocks():
    reduction = space()
    names = [choice.name for choice in reduction.choices]
    assert names[:5] == [choice.name for choice in space(operators=()).choices]
    convolutions = ["0", "3.conv1", "3.conv2", "4.conv1", "4.conv2"]
    assert names[5:] == [f"kernel:{path}" for path in convolutions] + [f"operator:{path}" for path in convolutions]


def test_the_largest_network_is_the_original():
    reduction = space(resolutions=(0.5,))
    x = torch.randn(2, 3, 16, 16)
    assert torch.equal(reduction.build(reduction.full).eval()(x), small_resnet().eval()(x))


def test_parameters_are_known_without_building():
    reduction, rng = space(), np.random.default_rng(0)
    for _ in range(12):
        architecture = reduction.sample(rng)
        counted = count_params(reduction.build(architecture))
        assert reduction.params(architecture) == counted == count_params(reduction.skeleton(architecture))


def test_multiply_accumulates_follow():
    reduction = space(blocks=False)
    original = count_macs(reduction.build(reduction.full), (3, 16, 16))
    cut = chosen(reduction, kernel_3_conv1=1, operator_4_conv2="separable")
    # A convolution of 12 channels: 12 x 12 x 9 per place become 12 x 12, and 12 x 9 + 12 x 12.
    saved = 16 * 16 * (144 * 8 + (144 * 9 - 108 - 144))
    assert count_macs(reduction.skeleton(cut), (3, 16, 16)) == original - saved


def test_names_of_cropped_weights_stay_and_pairs_have_two():
    reduction = space(blocks=False)
    names = set(reduction.build(reduction.full).state_dict())
    assert set(reduction.build(chosen(reduction, kernel_3_conv1=1)).state_dict()) == names
    pair = set(reduction.build(chosen(reduction, operator_3_conv1="separable")).state_dict())
    assert pair - names == {"3.conv1.depthwise.weight", "3.conv1.pointwise.weight"}


def test_what_makes_no_difference_has_one_key():
    reduction = space()
    one = chosen(reduction, kernel_3_conv1=1, operator_3_conv1="separable")
    assert one.key == chosen(reduction, kernel_3_conv1=1).key
    dropped = chosen(reduction, block_3="drop")
    assert dropped.key == chosen(reduction, block_3="drop", kernel_3_conv1=1, operator_3_conv2="separable").key
    position = [choice.name for choice in reduction.choices].index("kernel:3.conv1")
    assert not reduction.decides(position, dropped)
    assert reduction.decides(position, reduction.full)
    assert count_params(reduction.build(dropped)) == reduction.params(dropped)


def test_a_graph_names_operators():
    reduction = space(blocks=False)
    labels = reduction.graph(chosen(reduction, kernel_3_conv1=1, operator_3_conv2="separable")).labels
    assert labels[1:4] == ("conv3x3:12", "conv1x1:12", "separable3x3:12")


def passed(reduction, parent, child):
    """A child with the weights of a parent, all of whose weights are 1 more than the original's."""
    trained = reduction.build(parent)
    with torch.no_grad():
        for weight in trained.parameters():
            weight.add_(1.0)
    network = reduction.build(child)
    pairs = reduction.decided(child).separable
    given = translated(trained.state_dict(), pairs, reduction.decided(parent).separable)
    inherit(network, given, reduction.indices(child), reduction.indices(parent, pairs))
    return network, trained


def test_weights_pass_between_kernels():
    reduction = space(blocks=False)
    small = chosen(reduction, kernel_3_conv1=1)
    network, trained = passed(reduction, reduction.full, small)
    assert torch.equal(network[3].conv1.weight, trained[3].conv1.weight[:, :, 1:2, 1:2])
    network, trained = passed(reduction, small, reduction.full)
    assert torch.equal(network[3].conv1.weight[:, :, 1, 1], trained[3].conv1.weight[:, :, 0, 0])
    assert torch.equal(network[3].conv1.weight[:, :, 0], small_resnet()[3].conv1.weight[:, :, 0])


def test_weights_pass_between_operators_and_widths_at_once():
    reduction = space(blocks=False)
    narrow = {"width_3_conv1": 6, "operator_3_conv1": "separable", "operator_3_conv2": "separable"}
    network, trained = passed(reduction, reduction.full, chosen(reduction, **narrow))
    rows = reduction.kept(chosen(reduction, **narrow))["3.conv1"]
    depthwise, pointwise = factors(trained[3].conv1.weight)
    assert torch.allclose(network[3].conv1.depthwise.weight, depthwise)
    assert torch.allclose(network[3].conv1.pointwise.weight, pointwise[rows])
    depthwise, pointwise = factors(trained[3].conv2.weight)
    assert torch.allclose(network[3].conv2.depthwise.weight, depthwise[rows])
    assert torch.allclose(network[3].conv2.pointwise.weight, pointwise[:, rows])
    # and back: the product, where the parent has channels
    network, trained = passed(reduction, chosen(reduction, **narrow), reduction.full)
    product = trained[3].conv1.pointwise.weight * trained[3].conv1.depthwise.weight.transpose(0, 1)
    assert torch.allclose(network[3].conv1.weight[rows], product)
    others = np.setdiff1d(np.arange(12), rows)
    assert torch.equal(network[3].conv1.weight[others], small_resnet()[3].conv1.weight[others])


def test_a_record_of_another_network_is_refused():
    record = {"reduction": 1, "kernels": {"9.conv": 1}}
    with pytest.raises(SurgeryError, match=r"there is no convolution '9\.conv' to exchange"):
        made(small_resnet(), [record])
    with pytest.raises(SurgeryError, match="version 7"):
        made(small_resnet(), [{"reduction": 7}])
    with pytest.raises(SurgeryError, match="malformed"):
        made(small_resnet(), [{"reduction": 1, "kernel": {}}])


def test_an_unknown_substitution_gets_a_suggestion():
    with pytest.raises(SpecError, match=r"(?s)there is no substitution 'seperable'.*did you mean 'separable'"):
        space(operators=["seperable"])


def test_what_has_no_convolution_is_refused():
    network = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
    with pytest.raises(SpecError, match=r"(?s)no convolution of Sequential can be exchanged.*kernel is larger than 1"):
        ReductionSpace.from_model(network, (8,), operators=BOTH)


class Odd(nn.Module):
    """Convolutions that nothing can stand for, and one that something can."""

    def __init__(self):
        super().__init__()
        self.stem, self.even = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 2)
        self.narrow, self.read = nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3, padding=1)
        self.grouped, self.up = nn.Conv2d(8, 8, 3, padding=1, groups=4), nn.ConvTranspose2d(8, 8, 2, 2)
        self.first, self.head = nn.Conv2d(8, 8, 3, padding=1), nn.Linear(8, 2)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.second.weight = self.first.weight

    def forward(self, x):
        x = self.grouped(self.narrow(self.even(self.stem(x))))
        x = nn.functional.conv2d(x, self.read.weight, padding=1)
        return self.head(self.second(self.first(self.up(x))).mean((2, 3)))


def test_every_convolution_that_stays_has_a_reason():
    found = ReductionSpace.from_model(Odd(), (3, 12, 12), operators=BOTH).substitutes
    assert set(found.kernels) == {"stem", "grouped"}
    assert set(found.separable) == {"stem", "even", "narrow"}
    for name, words in {
        "even: kernel": "its kernel 2x2 has no centre",
        "narrow: kernel": "its padding 0x0 is too small",
        "read: kernel": "without calling it",
        "grouped: separable": "it has 4 groups already",
        "up: kernel": "it is a ConvTranspose2d",
        "first: separable": "its weights are shared: first.weight, second.weight",
    }.items():
        assert words in found.refused[name]


def test_frozen_convolutions_stay_frozen_and_hooks_stay_around_theirs():
    conv = nn.Conv2d(4, 6, 3, padding=1).requires_grad_(requires_grad=False).eval()
    for made_of in (cropped(conv, 1), separated(conv)):
        assert not any(weight.requires_grad for weight in made_of.parameters())
        assert not any(part.training for part in made_of.modules())
    network = small_resnet()
    network[3].conv1.register_forward_hook(lambda module, args, output: 2 * output)
    found = ReductionSpace.from_model(network, (3, 16, 16), operators=BOTH).substitutes
    assert "3.conv1" not in found.kernels
    assert "hooks" in found.refused["3.conv1: separable"]


# -- families ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["test_resnet", "test_convnext", "test_mambaout", "test_efficientnet"])
def test_families_of_timm(name):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=4).eval()
    size = (3, 64, 64)
    reduction = ReductionSpace.from_model(network, size, operators=BOTH, resolutions=(0.5,))
    assert reduction.substitutes.kernels or reduction.substitutes.separable
    original = count_macs(network, size)
    for architecture in (reduction.smallest, reduction.sample(np.random.default_rng(1))):
        smaller = reduction.build(architecture).eval()
        assert count_params(smaller) == reduction.params(architecture)
        assert count_macs(smaller, size) < original
        assert smaller(torch.randn(2, *size)).shape == (2, 4)


@pytest.mark.parametrize(("axes", "residual"), [(3, 0), (2, 1)])
def test_u_nets_of_monai(axes, residual):
    monai = pytest.importorskip("monai.networks.nets")
    torch.manual_seed(0)
    network = monai.UNet(axes, 1, 2, (8, 16), (2,), num_res_units=residual).eval()
    size = (1, *[8] * axes)
    reduction = ReductionSpace.from_model(network, size, operators=BOTH, resolutions=(0.5,))
    assert reduction.substitutes.kernels
    assert reduction.substitutes.separable
    assert any(f"ConvTranspose{axes}d" in why for why in reduction.substitutes.refused.values())
    smaller = reduction.build(reduction.smallest).eval()
    assert count_params(smaller) == reduction.params(reduction.smallest)
    assert smaller(torch.randn(2, *size)).shape == network(torch.randn(2, *size)).shape  # scaled back
