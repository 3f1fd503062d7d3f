"""The spaces: published sets as choices, keys, widths and the networks they build."""

from __future__ import annotations

import numpy as np
import pytest
from nasplug_qnas.functions import FUNCTION_SETS
from nasplug_qnas.spaces import ConvSpace, ResidualSpace

from nasplug.contract.errors import NasplugError, SpecError
from nasplug.contract.labels import labeller
from nasplug.testing import Shapes

CIFAR = Shapes((3, 32, 32), 10)


@pytest.mark.parametrize("name", ["conv6", "conv9", "conv11", "conv15"])
def test_every_node_chooses_from_the_published_set_with_its_probabilities(name):
    space = ConvSpace(name)
    assert len(space.choices) == 20
    assert {choice.options for choice in space.choices} == {FUNCTION_SETS[name].names}
    assert {choice.weights for choice in space.choices} == {FUNCTION_SETS[name].probabilities}
    assert space.size() == len(FUNCTION_SETS[name]) ** 20


def test_sampling_follows_the_published_prior():
    rng = np.random.default_rng(0)
    drawn = [function for _ in range(300) for function in ConvSpace().sample(rng).genotype]
    assert drawn.count("no_op") / len(drawn) == pytest.approx(1 / 3, abs=0.02)
    assert sum("pool" in function for function in drawn) / len(drawn) == pytest.approx(1 / 3, abs=0.02)


def test_a_prior_may_be_uniform_or_given():
    uniform = ConvSpace(["conv_3_1_8", "conv_5_1_8", "no_op"], prior="uniform")
    assert uniform.choices[0].weights == pytest.approx([1 / 3] * 3)
    given = ConvSpace(["conv_3_1_8", "no_op"], probabilities={"no_op": 0.9, "conv_3_1_8": 0.1})
    assert dict(zip(given.choices[0].options, given.choices[0].weights, strict=True)) == {
        "conv_3_1_8": 0.1,
        "no_op": 0.9,
    }
    published = ResidualSpace(probabilities=dict.fromkeys(FUNCTION_SETS["res9"].names, 1 / 9))
    assert published.choices[3].weights == pytest.approx([1 / 9] * 9)


def test_where_no_op_stands_makes_no_difference_and_order_does():
    space = ConvSpace(nodes=4)
    first = space.architecture(["conv_3_1_64", "no_op", "max_pool_2_2", "no_op"])
    second = space.architecture(["no_op", "no_op", "conv_3_1_64", "max_pool_2_2"])
    other = space.architecture(["no_op", "no_op", "max_pool_2_2", "conv_3_1_64"])
    assert first == second
    assert first != other
    assert space.graph(first) == space.graph(second)
    assert space.graph(first).labels == ("input", "conv_3_1_64", "max_pool_2_2", "output")


def test_width_multiplies_filters_and_keeps_order_and_prior():
    space = ConvSpace("conv11", width=0.125)
    assert space.functions.names == tuple(
        f"{name.rpartition('_')[0]}_{int(name.rpartition('_')[2]) // 8}" if name.startswith("conv") else name
        for name in FUNCTION_SETS["conv11"].names
    )
    assert space.functions.probabilities == FUNCTION_SETS["conv11"].probabilities
    assert ConvSpace("conv11").functions is FUNCTION_SETS["conv11"]


def test_it_tells_which_functions_reduce_the_resolution():
    space = ConvSpace()
    assert [option for option in space.choices[0].options if space.reduces(option)] == ["avg_pool_2_2", "max_pool_2_2"]
    assert ConvSpace(["conv_3_2_8", "no_op"]).reduces("conv_3_2_8")


def test_the_published_residual_network_is_built_with_its_published_size():
    space = ResidualSpace(head="flatten")
    genotype = [
        *("bv1p_3_1_128", "bv1p_3_1_128", "bv1p_3_1_256", "avg_pool_2_2", "no_op", "bv1p_3_1_256", "no_op", "no_op"),
        *("no_op", "max_pool_2_2", "max_pool_2_2", "bv1_3_1_128", "bv1_3_1_64", "bv1p_3_1_256", "no_op"),
        *("bv1_3_1_256", "max_pool_2_2", "bv1_3_1_256", "bv1p_3_1_64", "no_op"),
    ]
    network = space.build(space.architecture(genotype), CIFAR)
    assert sum(parameter.numel() for parameter in network.parameters()) == 7_069_066


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"functions": "conv12"}, "did you mean 'conv1[15]'"),
        ({"functions": ["conv_3_64"]}, "conv_K_S_F"),
        ({"head": "gab"}, "did you mean 'gap'"),
        ({"prior": "flat"}, "uniform"),
        ({"nodes": 0}, "nodes=0"),
        ({"norm_decay": 1.0}, "norm_decay=1.0"),
        ({"width": 0.0}, "width=0.0"),
        ({"width": float("nan")}, "width=nan"),
        ({"width": float("inf")}, "width=inf"),
        ({"width": 0.01}, r"two functions become 'conv_1_1_1'(.|\n)*larger width"),
        ({"probabilities": {"no_op": 1.0}}, "probabilities are given for"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(NasplugError, match=message):
        ConvSpace(**arguments)


def test_faithful_options_reach_the_network():
    space = ConvSpace(nodes=1, head="flatten", he_bias=True, norm_decay=0.99)
    network = space.build(space.architecture(["conv_3_1_32"]), CIFAR)
    convolution, norm, _ = network.features[0]
    assert network.classifier.in_features == 32 * 32 * 32
    assert convolution.bias.abs().min() > 0
    assert norm.momentum == pytest.approx(0.01)


def test_an_exploding_head_is_refused_when_it_is_built():
    space = ConvSpace(nodes=1, head="flatten")
    with pytest.raises(SpecError, match="head='gap'"):
        space.build(space.architecture(["conv_3_1_256"]), Shapes((3, 512, 512), 10))


def test_labels_name_the_functions_that_are_there():
    space = ConvSpace(nodes=3)
    label = labeller(space)
    assert label(space.architecture(("no_op", "conv_3_1_64", "max_pool_2_2"))) == "conv_3_1_64 max_pool_2_2"
    assert label(space.architecture(("no_op", "no_op", "no_op"))) == "no functions"
