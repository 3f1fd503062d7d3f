"""Tests of `nasplug.workloads.shapes`: shapes that a graph computes for itself."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from nasplug.contract.errors import DataError  # noqa: E402
from nasplug.workloads.onnx import read_onnx  # noqa: E402
from nasplug.workloads.shapes import infer_shapes  # noqa: E402

helper, FLOAT = onnx.helper, onnx.TensorProto.FLOAT


def model(*nodes, shape=(1, 3, 9, 7), initializers=(), stated=(), opsets=()):
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", FLOAT, list(shape))],
        [helper.make_tensor_value_info("y", FLOAT, None)],
        initializer=list(initializers),
        value_info=[helper.make_tensor_value_info(name, FLOAT, sizes) for name, sizes in stated],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18), *opsets])


def constant(name, value):
    return onnx.numpy_helper.from_array(np.array(value, np.int64), name)


SPLIT = [  # x as (batch, channels * rest) by arithmetic on its shape
    helper.make_node("Shape", ["x"], ["all"]),
    helper.make_node("Shape", ["x"], ["rest"], start=2),
    helper.make_node("ReduceProd", ["rest"], ["pixels"], keepdims=1),
    helper.make_node("Gather", ["all", "one"], ["channels"]),
    helper.make_node("Mul", ["channels", "pixels"], ["features"]),
    helper.make_node("Slice", ["all", "zero", "one"], ["batch"]),
    helper.make_node("Concat", ["batch", "features"], ["wanted"], axis=0),
    helper.make_node("Reshape", ["x", "wanted"], ["y"]),
]
NUMBERS = [constant("zero", [0]), constant("one", [1])]


def test_arithmetic_on_shapes_is_followed():
    shapes = infer_shapes(onnx, model(*SPLIT, initializers=NUMBERS))
    assert shapes["y"] == (1, 189)
    assert shapes["rest"] == (2,)


def test_padding_that_the_graph_computes():
    """As by exporters of 'same' padding: to the next multiple of four."""
    nodes = [
        helper.make_node("Shape", ["x"], ["size"], start=2),
        helper.make_node("Neg", ["size"], ["less"]),
        helper.make_node("Mod", ["less", "four"], ["after"]),
        helper.make_node("Concat", ["zeros", "after"], ["pads"], axis=0),
        helper.make_node("Pad", ["x", "pads"], ["y"]),
    ]
    initializers = [constant("four", [4, 4]), constant("zeros", [0] * 6)]
    assert infer_shapes(onnx, model(*nodes, initializers=initializers))["y"] == (1, 3, 12, 8)


def test_large_values_have_shapes_only():
    nodes = [
        helper.make_node("ConstantOfShape", ["huge"], ["filled"]),
        helper.make_node("Add", ["x", "filled"], ["y"]),
    ]
    shapes = infer_shapes(onnx, model(*nodes, initializers=[constant("huge", [10**6, 3, 9, 7])]))
    assert shapes["y"] == (10**6, 3, 9, 7)


def test_what_the_file_states_counts_where_nothing_can_be_inferred():
    nodes = [
        helper.make_node("Own", ["x"], ["a"], domain="someone"),
        helper.make_node("Relu", ["a"], ["y"]),
    ]
    own = [helper.make_opsetid("someone", 1)]
    assert infer_shapes(onnx, model(*nodes, stated=[("a", [1, 5])], opsets=own))["y"] == (1, 5)
    assert infer_shapes(onnx, model(*nodes, opsets=own)).get("y") is None


def test_a_contradiction_is_told(tmp_path):
    path = tmp_path / "net.onnx"
    weight = helper.make_tensor("w", FLOAT, [8, 2], [0.0] * 16)  # for eight columns, and there are seven
    onnx.save(model(helper.make_node("MatMul", ["x", "w"], ["y"]), initializers=[weight]), str(path))
    with pytest.raises(DataError, match="cannot be inferred"):
        read_onnx(path)


def test_a_product_of_what_the_graph_makes_counts_and_one_of_weights_does_not(tmp_path):
    path = tmp_path / "net.onnx"
    weights = [helper.make_tensor(name, FLOAT, [7, 7], [0.0] * 49) for name in ("v", "w")]
    nodes = [
        helper.make_node("Constant", [], ["size"], value=constant("size", [5, 7])),
        helper.make_node("ConstantOfShape", ["size"], ["position"]),
        helper.make_node("MatMul", ["position", "v"], ["encoded"]),  # 5 * 7 * 7 at every run
        helper.make_node("MatMul", ["v", "w"], ["weight"]),
        helper.make_node("Add", ["x", "encoded"], ["sum"]),
        helper.make_node("MatMul", ["sum", "weight"], ["y"]),  # 5 * 7 * 7
    ]
    onnx.save(model(*nodes, shape=(1, 5, 7), initializers=weights), str(path))
    assert read_onnx(path).macs.sum() == 2 * 5 * 7 * 7
