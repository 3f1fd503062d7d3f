"""Shapes of all tensors of an ONNX graph, node by node.

Exporters compute shapes inside the graph (`Shape`, arithmetic, `Reshape`, `Pad`), and the inference of the onnx package
follows such values only part of the way. Here every node that is made of known values is evaluated, and every other one
is inferred with the values that are known.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np
    from onnx import ModelProto, NodeProto, TypeProto

#: Values with more elements than this are weights, not shapes.
_SMALL = 4096


def infer_shapes(onnx: ModuleType, model: ModelProto) -> dict[str, tuple[int, ...] | None]:
    """Shapes of all tensors of a graph, by name; None where one stays open.

    Args:
        onnx: The onnx package, which loads late.
        model: Model without functions of its own, whose inputs have known shapes.

    Raises:
        Exception: A node contradicts its inputs.
    """
    return _Shapes(onnx, model).run()


class _Shapes:
    def __init__(self, onnx: ModuleType, model: ModelProto) -> None:
        from onnx.reference import ReferenceEvaluator

        self._onnx, self._model, self._evaluator = onnx, model, ReferenceEvaluator
        self._opsets = {item.domain: item.version for item in model.opset_import}
        self._types: dict[str, TypeProto] = {item.name: item.type for item in model.graph.input}
        self._stated = {item.name: item.type for item in model.graph.value_info}
        self._values: dict[str, np.ndarray[Any, Any]] = {}

    def run(self) -> dict[str, tuple[int, ...] | None]:
        for item in self._model.graph.initializer:
            self._types[item.name] = self._onnx.helper.make_tensor_type_proto(item.data_type, item.dims)
            outside = item.data_location == self._onnx.TensorProto.EXTERNAL
            if not outside and math.prod(item.dims) <= _SMALL:
                self._values[item.name] = self._onnx.numpy_helper.to_array(item)
        for node in self._model.graph.node:
            if not self._evaluated(node):
                self._inferred(node)
            for name in node.output:
                if name in self._stated and _known(self._types.get(name)) is None:
                    self._types[name] = self._stated[name]
        return {name: _known(kind) for name, kind in self._types.items()}

    def _evaluated(self, node: NodeProto) -> bool:
        """Whether all that a node makes follows from known values, or is the shape of a known shape."""
        import numpy as np

        if node.op_type == "Shape" and (shape := _known(self._types.get(node.input[0]))) is not None:
            ends = {item.name: item.i for item in node.attribute}
            self._hold(node.output[0], np.array(shape[ends.get("start", 0) : ends.get("end", len(shape))], np.int64))
            return True
        names = [name for name in node.input if name]
        if any(name not in self._values for name in names) or self._large(node):
            return False
        try:
            run = self._evaluator(node, opsets=self._opsets).run
            made = run(None, {name: self._values[name] for name in names})
        except Exception:  # operators without a reference are inferred
            return False
        for name, value in zip(filter(None, node.output), made, strict=True):
            self._hold(name, np.asarray(value))
        return True

    def _large(self, node: NodeProto) -> bool:
        return node.op_type == "ConstantOfShape" and self._size(node.input[0]) > _SMALL

    def _size(self, name: str) -> int:
        return math.prod(int(size) for size in self._values[name])

    def _hold(self, name: str, value: np.ndarray[Any, Any]) -> None:
        kind = self._onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
        self._types[name] = self._onnx.helper.make_tensor_type_proto(kind, value.shape)
        if value.size <= _SMALL:
            self._values[name] = value

    def _inferred(self, node: NodeProto) -> None:
        try:
            schema = self._onnx.defs.get_schema(node.op_type, self._opsets.get(node.domain, 1), node.domain)
        except Exception:  # operators of other libraries have none
            return
        inside = any(item.type == self._onnx.AttributeProto.GRAPH for item in node.attribute)
        if inside or any(name and name not in self._types for name in node.input):
            return
        used = list(filter(None, node.input))
        to_tensor = self._onnx.numpy_helper.from_array
        made = self._onnx.shape_inference.infer_node_outputs(
            schema,
            node,
            {name: self._types[name] for name in used},
            {name: to_tensor(self._values[name], name) for name in used if name in self._values},
            opset_imports=list(self._model.opset_import),
            ir_version=self._model.ir_version,
        )
        self._types |= made


def _known(kind: TypeProto | None) -> tuple[int, ...] | None:
    if kind is None or not kind.tensor_type.HasField("shape"):
        return None
    dims = kind.tensor_type.shape.dim
    return tuple(dim.dim_value for dim in dims) if all(dim.HasField("dim_value") for dim in dims) else None
