"""Function sets: names, natural order, starting probabilities and sizes of the search spaces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nasplug_qnas.functions import FUNCTION_SETS, Function, FunctionSet, function_set

from nasplug.contract.errors import SpecError, UnknownNameError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("conv_3_1_64", Function("conv_3_1_64", "conv", 3, 1, 64)),
        ("conv_5_2_128", Function("conv_5_2_128", "conv", 5, 2, 128)),
        ("bv1_3_1_128", Function("bv1_3_1_128", "bv1", 3, 1, 128)),
        ("bv1p_3_2_256", Function("bv1p_3_2_256", "bv1p", 3, 2, 256)),
        ("max_pool_2_2", Function("max_pool_2_2", "max_pool", 2, 2)),
        ("avg_pool_3_1", Function("avg_pool_3_1", "avg_pool", 3, 1)),
        ("no_op", Function("no_op", "no_op")),
    ],
)
def test_names_are_read(name, expected):
    assert Function.parse(name) == expected


@pytest.mark.parametrize(
    "name", ["conv_3_64", "conv_0_1_64", "pool_2_2", "conv_3_1_64x", "", "max_pool_2", "conv_3_-1_6"]
)
def test_malformed_names_are_refused_with_the_forms_that_exist(name):
    with pytest.raises(SpecError, match="conv_K_S_F"):
        Function.parse(name)


def test_a_strided_identity_shortcut_is_refused_with_an_alternative():
    with pytest.raises(SpecError, match="bv1p_3_2_64"):
        Function.parse("bv1_3_2_64")


def test_gene_order_is_natural_whatever_the_order_given():
    names = ["no_op", "conv_3_1_128", "conv_10_1_32", "conv_3_1_64", "max_pool_2_2", "conv_1_1_256"]
    ordered = ("conv_1_1_256", "conv_3_1_64", "conv_3_1_128", "conv_10_1_32", "max_pool_2_2", "no_op")
    assert FunctionSet.of("mine", names).names == ordered
    assert FunctionSet.of("mine", reversed(names)).names == ordered


@pytest.mark.parametrize(
    ("name", "size", "layer"),
    [("conv6", 9, 1 / 18), ("conv9", 9, 1 / 18), ("conv11", 11, 1 / 24), ("conv15", 15, 1 / 36), ("res9", 9, 1 / 18)],
)
def test_published_sets_share_a_third_each_between_layers_pools_and_no_op(name, size, layer):
    functions = function_set(name)
    assert len(functions) == size
    assert sum(functions.probabilities) == pytest.approx(1.0, abs=1e-12)
    expected = {"layer": layer, "pool": 1 / 6, "no_op": 1 / 3}
    for function, probability in zip(functions.functions, functions.probabilities, strict=True):
        assert probability == pytest.approx(expected[function.group])
    assert sum(functions.reduces) == 2


def test_contents_of_the_published_sets():
    assert {name for name in function_set("conv11").names if name.startswith("conv")} == {
        *("conv_1_1_32", "conv_1_1_64", "conv_3_1_32", "conv_3_1_64", "conv_3_1_128", "conv_3_1_256"),
        *("conv_5_1_32", "conv_5_1_64"),
    }
    assert set(function_set("conv11").names) - set(function_set("conv9").names) == {"conv_5_1_32", "conv_5_1_64"}
    assert "conv_5_1_512" in function_set("conv15").names
    assert [name for name in function_set("res9").names if name.startswith("bv1")] == [
        f"{kind}_3_1_{width}" for kind in ("bv1", "bv1p") for width in (64, 128, 256)
    ]


def test_space_sizes_of_twenty_nodes():
    assert function_set("conv9").space_size(20) == 9**20
    assert function_set("conv11").space_size(20) == pytest.approx(6.7e20, rel=0.01)
    assert function_set("conv15").space_size(20) == pytest.approx(3.3e23, rel=0.01)


@given(st.data())
def test_decode_and_encode_are_inverse(data):
    functions = FUNCTION_SETS[data.draw(st.sampled_from(sorted(FUNCTION_SETS)))]
    genes = tuple(data.draw(st.lists(st.integers(0, len(functions) - 1), max_size=20)))
    assert functions.encode(functions.decode(genes)) == genes


def test_probabilities_may_be_given_by_name():
    functions = FunctionSet.of("mine", ["no_op", "conv_3_1_8"], {"no_op": 0.25, "conv_3_1_8": 0.75})
    assert dict(zip(functions.names, functions.probabilities, strict=True)) == {"conv_3_1_8": 0.75, "no_op": 0.25}
    assert FunctionSet.of("mine", ["conv_3_1_8", "conv_3_1_16"]).probabilities == (0.5, 0.5)


@pytest.mark.parametrize(
    ("names", "probabilities", "message"),
    [
        ([], None, "at least one"),
        (["no_op", "no_op"], None, "only once"),
        (["no_op"], {"conv_3_1_8": 1.0}, "the functions are"),
        (["no_op", "conv_3_1_8"], {"no_op": 0.5, "conv_3_1_8": 0.6}, "sum to 1"),
    ],
)
def test_bad_sets_are_refused(names, probabilities, message):
    with pytest.raises(SpecError, match=message):
        FunctionSet.of("mine", names, probabilities)


def test_unknown_names_get_a_suggestion():
    with pytest.raises(UnknownNameError, match="did you mean 'conv11'"):
        function_set("conv_11")
    with pytest.raises(UnknownNameError, match="did you mean 'conv_3_1_64'"):
        function_set("conv11").encode(["conv_3_164"])
    with pytest.raises(SpecError, match="gene 11 of node 1"):
        function_set("conv11").decode([0, 11])


@pytest.mark.parametrize(
    ("name", "convolutions"),
    [
        ("conv6", [f"conv_{k}_1_{w}" for k in (1, 3, 5) for w in (64, 128)]),
        ("conv9", [*(f"conv_1_1_{w}" for w in (32, 64)), *(f"conv_3_1_{w}" for w in (32, 64, 128, 256))]),
        ("conv15", [f"conv_{k}_1_{w}" for k in (1, 3, 5) for w in (64, 128, 256, 512)]),
        ("res9", [f"{b}_3_1_{w}" for b in ("bv1", "bv1p") for w in (64, 128, 256)]),
    ],
)
def test_the_published_sets_have_the_published_functions(name, convolutions):
    names = [function.name for function in function_set(name).functions]
    assert sorted(names) == sorted([*convolutions, "max_pool_2_2", "avg_pool_2_2", "no_op"])
