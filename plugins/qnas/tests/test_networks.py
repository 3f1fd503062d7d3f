"""Chain networks: published parameter counts, topology and the layers' arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nasplug_qnas.algorithm import QuantumNodes
from nasplug_qnas.functions import FUNCTION_SETS
from nasplug_qnas.networks import ChainNetwork
from nasplug_qnas.networks.blocks import ConvBlock, ResidualV1, ResidualV1Pr, SameConv2d, he_initialise
from torch import nn

from nasplug.contract.errors import SpecError

#: The residual network behind 93.85 % on CIFAR-10, reported with 7.07 M parameters.
BEST_RESIDUAL = (
    *("bv1p_3_1_128", "bv1p_3_1_128", "bv1p_3_1_256", "avg_pool_2_2", "no_op", "bv1p_3_1_256", "no_op", "no_op"),
    *("no_op", "max_pool_2_2", "max_pool_2_2", "bv1_3_1_128", "bv1_3_1_64", "bv1p_3_1_256", "no_op", "bv1_3_1_256"),
    *("max_pool_2_2", "bv1_3_1_256", "bv1p_3_1_64", "no_op"),
)
BEST_CONVOLUTIONAL = (
    *("conv_5_1_512", "conv_3_1_128", "conv_3_1_512", "conv_5_1_256", "avg_pool_2_2", "conv_3_1_256"),
    *("avg_pool_2_2", "conv_5_1_128", "avg_pool_2_2", "max_pool_2_2"),
)


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("functions", "count", "features"),
    [(BEST_RESIDUAL, 7_069_066, (64, 2, 2)), (BEST_CONVOLUTIONAL, 5_914_378, (128, 2, 2))],
)
def test_published_networks_have_the_published_parameter_counts(functions, count, features):
    with torch.device("meta"):
        network = ChainNetwork(functions, (3, 32, 32), 10, head="flatten")
        assert network(torch.empty(2, 3, 32, 32)).shape == (2, 10)
    assert parameters(network) == count
    assert network.feature_shape == features


def test_the_head_pools_globally_unless_told_to_flatten():
    with torch.device("meta"):
        small = ChainNetwork(["conv_3_1_16"], (3, 32, 32), 10)
        large = ChainNetwork(["conv_3_1_16"], (3, 32, 32), 10, head="flatten")
    assert small.classifier.in_features == 16
    assert large.classifier.in_features == 16 * 32 * 32


def test_a_flattening_head_that_explodes_is_refused_before_any_memory_is_used():
    with pytest.raises(SpecError, match=r"256 x 512 x 512.*\n.*head='gap'"):
        ChainNetwork(["conv_3_1_256"], (3, 512, 512), 10, head="flatten")
    with torch.device("meta"):
        ChainNetwork(["conv_3_1_256"], (3, 512, 512), 10, head="flatten", max_head_weights=2**40)


def test_every_published_chain_fits_the_default_limit_on_small_images():
    widest = max(function.filters for functions in FUNCTION_SETS.values() for function in functions.functions)
    with torch.device("meta"):
        ChainNetwork([f"conv_1_1_{widest}"], (3, 32, 32), 100, head="flatten")


def test_no_op_is_left_out_and_pools_beyond_one_pixel_are_identities():
    network = ChainNetwork(["no_op", *["max_pool_2_2"] * 6, "avg_pool_2_2", "no_op"], (3, 32, 32), 5).eval()
    kinds = [type(layer) for layer in network.features]
    assert kinds == [nn.MaxPool2d] * 5 + [nn.Identity] * 2
    assert network.feature_shape == (3, 1, 1)
    assert network(torch.randn(2, 3, 32, 32)).shape == (2, 5)


def test_pools_drop_the_odd_row():
    network = ChainNetwork(["avg_pool_2_2"], (1, 7, 9), 2)
    assert network.feature_shape == (1, 3, 4)
    assert network.features(torch.zeros(1, 1, 7, 9)).shape == (1, 1, 3, 4)


def test_a_chain_of_nothing_is_a_linear_classifier():
    network = ChainNetwork(["no_op"] * 3, (2, 4, 4), 3, head="flatten")
    assert parameters(network) == 2 * 4 * 4 * 3 + 3
    assert network(torch.zeros(1, 2, 4, 4)).shape == (1, 3)


@pytest.mark.parametrize("head", ["gap", "flatten"])
@pytest.mark.parametrize("name", sorted(FUNCTION_SETS))
def test_sampled_chains_build_with_the_announced_shape_and_train(name, head):
    functions = FUNCTION_SETS[name]
    nodes = QuantumNodes(3, [len(functions)] * 8, functions.probabilities)
    for genes in nodes.observe(np.random.default_rng(3), 4):
        with torch.device("meta"):
            network = ChainNetwork(functions.decode(genes.tolist()), (5, 11, 14), 4, head=head)
            features = network.features(torch.empty(2, 5, 11, 14))
        assert tuple(features.shape[1:]) == network.feature_shape
    network = ChainNetwork(functions.decode(genes.tolist()), (5, 11, 14), 4, head=head)
    network(torch.randn(3, 5, 11, 14)).logsumexp(1).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize(("incoming", "filters", "expected"), [(3, 8, 8), (8, 3, 8), (8, 8, 8), (3, 6, 6)])
def test_residual_v1_has_the_larger_number_of_channels(incoming, filters, expected):
    block = ResidualV1(incoming, filters, 3)
    assert block.out_channels == expected
    assert block(torch.randn(2, incoming, 5, 5)).shape == (2, expected, 5, 5)


def test_residual_v1_pads_the_input_with_zero_channels_on_both_sides():
    block = ResidualV1(2, 5, 3).eval()
    nn.init.zeros_(block.branch[-1].weight)  # silences the branch
    x = torch.rand(1, 2, 4, 4)
    expected = torch.cat([torch.zeros(1, 1, 4, 4), x, torch.zeros(1, 2, 4, 4)], dim=1)
    torch.testing.assert_close(block(x), expected)


def test_residual_v1_refuses_a_stride():
    with pytest.raises(ValueError, match="must be 1"):
        ResidualV1(3, 3, 3, stride=2)


def test_projected_residual_always_has_its_projection_and_takes_a_stride():
    block = ResidualV1Pr(8, 8, 3)
    assert parameters(block) == 2 * (8 * 8 * 9 + 16) + 8 * 8 + 16
    assert ResidualV1Pr(3, 8, 3, stride=2)(torch.randn(2, 3, 7, 7)).shape == (2, 8, 4, 4)


def test_batch_normalisation_keeps_99_per_cent_of_its_statistics():
    block = ConvBlock(1, 1, 1)
    conv, norm, _ = block
    nn.init.ones_(conv.weight)
    nn.init.zeros_(conv.bias)
    block.train()(torch.full((4, 1, 2, 2), 5.0))
    assert norm.running_mean.item() == pytest.approx(0.05)
    assert norm.eps == 2e-5


def test_a_chain_keeps_90_per_cent_unless_told_the_published_share():
    for arguments, momentum in (({}, 0.1), ({"norm_decay": 0.99}, 0.01)):
        network = ChainNetwork(["conv_3_1_4", "bv1p_3_1_4"], (1, 8, 8), 2, **arguments)
        norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
        assert len(norms) == 4
        assert {round(norm.momentum, 12) for norm in norms} == {momentum}


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 6, 7])
def test_same_padding_gives_the_rounded_up_size(kernel, stride, size):
    assert SameConv2d(1, 1, kernel, stride)(torch.zeros(1, 1, size, size)).shape[-1] == -(-size // stride)


def test_an_even_kernel_is_padded_at_the_bottom_right():
    conv = SameConv2d(1, 1, 2, bias=False)
    nn.init.ones_(conv.weight)
    x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    assert conv(x).tolist() == [[[[10.0, 6.0], [7.0, 4.0]]]]


def test_a_strided_kernel_on_an_even_size_is_padded_at_the_bottom_right():
    conv = SameConv2d(1, 1, 3, 2, bias=False)
    nn.init.ones_(conv.weight)
    assert conv(torch.ones(1, 1, 4, 4)).tolist() == [[[[9.0, 6.0], [6.0, 4.0]]]]


def test_kernels_and_optionally_biases_are_drawn_after_he():
    torch.manual_seed(0)
    network = ChainNetwork(["conv_3_1_256"], (64, 4, 4), 500, he_bias=True)
    conv, head = network.features[0][0], network.classifier
    assert conv.weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)
    assert head.weight.std().item() == pytest.approx((2 / 256) ** 0.5, rel=0.02)
    assert head.bias.std().item() == pytest.approx((2 / 500) ** 0.5, rel=0.15)
    he_initialise(network)
    assert conv.bias.abs().sum() == 0


def test_initial_weights_follow_the_torch_seed():
    networks = []
    for _ in range(2):
        torch.manual_seed(5)
        networks.append(ChainNetwork(["bv1p_3_1_8", "conv_3_1_8"], (1, 8, 8), 2))
    for one, other in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        assert torch.equal(one, other)


def test_no_op_genes_do_not_change_the_names_of_the_weights():
    plain = ChainNetwork(["conv_3_1_4", "conv_1_1_8"], (1, 8, 8), 2)
    spaced = ChainNetwork(["no_op", "conv_3_1_4", "no_op", "conv_1_1_8"], (1, 8, 8), 2)
    spaced.load_state_dict(plain.state_dict())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["conv_3_1_4"], (3, 32), 10), "input shape"),
        ((["conv_3_1_4"], (3, 0, 32), 10), "input shape"),
        ((["conv_3_1_4"], (3, 32, 32), 0), "at least one class"),
        ((["conv_3_4"], (3, 32, 32), 10), "not the name of a function"),
        ((["conv_3_1_4"], (3, 32, 32), 10, "attention"), "'gap' or 'flatten'"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(SpecError, match=message):
        ChainNetwork(*arguments)
