"""The workload of a model in an ONNX file."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from nasplug.contract.errors import DataError
from nasplug.contract.wording import plural
from nasplug.optional import require
from nasplug.workloads.builder import INPUT, WorkloadBuilder
from nasplug.workloads.workload import Workload

if TYPE_CHECKING:
    from types import ModuleType

    from onnx import GraphProto, NodeProto, TypeProto


Shape = tuple[int, ...]
#: Another view of the same numbers, or another code for them: no work.
_VIEWS = frozenset(
    ("Flatten", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Dropout", "Cast", "Slice", "Split", "Pad")
) | frozenset(("Gather", "Expand", "Tile", "DepthToSpace", "SpaceToDepth", "QuantizeLinear", "DequantizeLinear"))
_ACTIVATIONS: dict[str, str] = {
    **{name: name.lower() for name in ("Relu", "Sigmoid", "Tanh", "Elu", "Celu", "Selu", "Gelu", "Mish", "Softplus")},
    "Clip": "clamp",
    "HardSigmoid": "hardsigmoid",
    "HardSwish": "hardswish",
    "LeakyRelu": "leaky_relu",
    "PRelu": "prelu",
    "Swish": "silu",
}
_NORMS = frozenset(("LayerNormalization", "GroupNormalization", "InstanceNormalization", "RMSNormalization"))


def read_onnx(path: str | Path, *, bits: int = 8) -> Workload:
    """Reads the workload of a model for one input; a batch size that is left open becomes 1.

    Args:
        path: An ONNX file. Weights kept outside of it are not needed.
        bits: Precision of all operands.

    Raises:
        DataError: The file is not an ONNX model, has several inputs, or leaves shapes other than the batch open.
        MissingExtraError: onnx is not installed.
    """
    onnx = require("onnx", extra="onnx", purpose="read ONNX models")
    where = f"ONNX model {path}"
    if not Path(path).is_file():
        raise DataError("there is no such file", where=where, fix="check the path")
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's own errors
        raise DataError("the file is not an ONNX model", where=where, why=f"{type(error).__name__}: {error}") from error
    constants = {item.name for item in model.graph.initializer}
    inputs = [item for item in model.graph.input if item.name not in constants]
    if len(inputs) != 1:
        raise DataError(
            f"the model has {plural(len(inputs), 'input')}", where=where, fix="only models of one input are priced"
        )
    batch = inputs[0].type.tensor_type.shape.dim[0]
    if not batch.dim_value:
        batch.dim_value = 1
    for item in model.graph.output:  # stated with the open batch size; to be inferred anew
        item.type.tensor_type.shape.Clear()
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception as error:
        raise DataError("its shapes cannot be inferred", where=where, why=str(error)) from error
    return _Reader(onnx, inferred.graph, where, bits).read(inputs[0].name)


#: Reads a node, given the rows that wrote its inputs, and returns its row.
Handler: TypeAlias = "Callable[[_Reader, NodeProto, list[int]], int]"


class _Reader:
    def __init__(self, onnx: ModuleType, graph: GraphProto, where: str, bits: int) -> None:
        self._onnx, self._graph, self._where, self._bits = onnx, graph, where, bits
        self.shapes: dict[str, Shape | None] = {
            item.name: _shape(item.type.tensor_type)
            for item in (*graph.value_info, *graph.input, *graph.output)
            if item.type.HasField("tensor_type")
        }
        self.shapes |= {item.name: tuple(item.dims) for item in graph.initializer}
        self.rows: dict[str, int] = {}

    def read(self, source: str) -> Workload:
        shape = self.shapes[source]
        if shape is None:
            raise DataError(
                "the shape of its input is open", where=self._where, fix="export it with a fixed image size"
            )
        self.builder = WorkloadBuilder(shape[1:], self._bits)
        self.rows[source] = INPUT
        for node in self._graph.node:
            sources = [self.rows[name] for name in node.input if name in self.rows]
            if not sources or node.op_type in ("Shape", "Size"):
                continue  # made of constants only
            row = self._node(node, sources)
            for name in node.output:
                if name:
                    self.rows[name] = row
        return self.builder.build()

    def _node(self, node: NodeProto, sources: list[int]) -> int:
        kind = node.op_type
        if kind in _VIEWS:
            return sources[0]
        if kind in _ACTIVATIONS:
            return self.builder.activate(sources[0], self._activation(node), node.name)
        if kind == "BatchNormalization":
            return self.builder.normalise(sources[0], node.name)
        if kind in ("Add", "Sub", "Mul", "Div") and len(sources) == 1:
            return self.builder.affine(sources[0], node.name)
        handler = _HANDLERS.get(kind)
        if handler is not None:
            return handler(self, node, sources)
        return self.row("norm" if kind in _NORMS else "other", node, sources)

    def _activation(self, node: NodeProto) -> str:
        if node.op_type == "Clip":
            low, high = (self._constant(name) for name in (*node.input[1:3], "", "")[:2])
            return "relu6" if (low, high) == (0, 6) else "relu" if low == 0 and high is None else "clamp"
        name: str = _ACTIVATIONS[node.op_type]
        return name

    def _constant(self, name: str) -> float | None:
        for item in self._graph.initializer:
            if item.name == name:
                return float(self._onnx.numpy_helper.to_array(item))
        for node in self._graph.node:
            if node.op_type == "Constant" and name in node.output:
                return float(self._onnx.numpy_helper.to_array(self.attributes(node)["value"]))
        return None

    def attributes(self, node: NodeProto) -> dict[str, Any]:
        return {item.name: self._onnx.helper.get_attribute_value(item) for item in node.attribute}

    def shape(self, name: str) -> Shape:
        found = self.shapes.get(name)
        if found is None:
            raise DataError(
                f"the shape of {name!r} is open",
                where=self._where,
                fix="export the model with fixed sizes but the batch",
            )
        return found

    def first(self, node: NodeProto) -> str:
        """The first input that a row wrote."""
        found: str = next(name for name in node.input if name in self.rows)
        return found

    def row(self, operation: str, node: NodeProto, sources: Sequence[int], **columns: float) -> int:
        shapes = _image("ci", "hi", "wi", self.shape(self.first(node)))
        shapes |= _image("co", "ho", "wo", self.shape(node.output[0]))
        return self.builder.row(operation, sources, node.name or node.op_type, **(shapes | columns))


def _shape(kind: TypeProto.Tensor) -> Shape | None:
    sizes = tuple(dim.dim_value for dim in kind.shape.dim)
    return sizes if all(sizes) else None


def _image(channels: str, height: str, width: str, shape: Shape) -> dict[str, int]:
    """A tensor of any rank as n x channels x height x width; tokens are (N, T, C)."""
    if len(shape) == 4:
        n, c, h, w = shape
    elif len(shape) == 3:
        (n, h, c), w = shape, 1
    elif len(shape) == 2:
        (n, c), h, w = shape, 1, 1
    else:
        n, c, h, w = 1, max(1, math.prod(shape)), 1, 1
    return {"n": n, channels: c, height: h, width: w}


def _window(attributes: Mapping[str, Any], kernel: Sequence[int], size: Shape, out: Shape) -> dict[str, int]:
    strides, dilations = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
    pads = attributes.get("pads", [0, 0, 0, 0])
    if attributes.get("auto_pad", b"NOTSET") in (b"SAME_UPPER", b"SAME_LOWER"):
        needed = [
            max(0, (o - 1) * s + d * (k - 1) + 1 - i)
            for o, s, d, k, i in zip(out[2:], strides, dilations, kernel, size[2:], strict=True)
        ]
        pads = [(total + (attributes["auto_pad"] == b"SAME_LOWER")) // 2 for total in needed]
    names = ("kh", "kw", "sh", "sw", "dh", "dw", "ph", "pw")
    return dict(zip(names, (*kernel, *strides, *dilations, *pads[:2]), strict=True))


def _conv(reader: _Reader, node: NodeProto, sources: list[int]) -> int:
    attributes, weight = reader.attributes(node), reader.shape(node.input[1])
    if len(weight) != 4:
        return reader.row("other", node, sources)
    window = _window(attributes, weight[2:], reader.shape(node.input[0]), reader.shape(node.output[0]))
    groups = int(attributes.get("group", 1))
    return reader.row("conv", node, sources[:1], **window, groups=groups, bias=len(node.input) > 2)


def _product(reader: _Reader, node: NodeProto, sources: list[int]) -> int:
    """Gemm and MatMul: by a constant a linear layer, else a product of activations."""
    first, second = (reader.shape(name) for name in node.input[:2])
    attributes = reader.attributes(node)
    rows, inner = (first[::-1] if attributes.get("transA") else first)[-2:]
    columns = second[-2] if attributes.get("transB") else second[-1]
    written = [name in reader.rows for name in node.input[:2]]
    if not written[0]:
        rows, columns = columns, rows
    batch = math.prod(first[:-2]) if len(first) > 2 and all(written) else 1
    if len(first) > 2 and not all(written):
        rows *= math.prod(first[:-2])
    shapes = {"n": batch, "ci": inner, "hi": rows, "wi": 1, "co": columns, "ho": rows, "wo": 1}
    if all(written):
        return reader.row("matmul", node, sources[:2], **shapes)
    return reader.row("fc", node, sources[:1], **shapes, bias=len(node.input) > 2)


def _pool(kind: str) -> Handler:
    def handle(reader: _Reader, node: NodeProto, sources: list[int]) -> int:
        attributes = reader.attributes(node)
        kernel = attributes["kernel_shape"]
        if len(kernel) != 2:
            return reader.row("other", node, sources)
        window = _window(attributes, kernel, reader.shape(node.input[0]), reader.shape(node.output[0]))
        return reader.row(kind, node, sources, **window)

    return handle


def _global_pool(reader: _Reader, node: NodeProto, sources: list[int]) -> int:
    shape, out = reader.shape(node.input[0]), reader.shape(node.output[0])
    if len(shape) == 4 and math.prod(out) == shape[0] * shape[1]:
        n, c, h, w = shape
        return reader.row("avgpool", node, sources, n=n, ci=c, hi=h, wi=w, co=c, ho=1, wo=1, kh=h, kw=w)
    if len(shape) == 3 and math.prod(out) == shape[0] * shape[2]:
        n, tokens, c = shape
        return reader.row("avgpool", node, sources, n=n, ci=c, hi=tokens, wi=1, co=c, ho=1, wo=1, kh=tokens)
    return reader.row("other", node, sources)


def _elementwise(kind: str) -> Handler:
    def handle(reader: _Reader, node: NodeProto, sources: list[int]) -> int:
        largest = max((reader.shape(name) for name in node.input if name in reader.rows), key=math.prod)
        return reader.row(kind, node, sources, **_image("ci", "hi", "wi", largest))

    return handle


def _simple(kind: str) -> Handler:
    return lambda reader, node, sources: reader.row(kind, node, sources)


_HANDLERS: dict[str, Handler] = {
    "Conv": _conv,
    "Gemm": _product,
    "MatMul": _product,
    "MaxPool": _pool("maxpool"),
    "AveragePool": _pool("avgpool"),
    "GlobalAveragePool": _global_pool,
    "ReduceMean": _global_pool,
    "Add": _elementwise("add"),
    "Sub": _elementwise("add"),
    "Sum": _elementwise("add"),
    "Mul": _elementwise("mul"),
    "Div": _elementwise("mul"),
    "Concat": _simple("concat"),
    "Softmax": _simple("softmax"),
    "LogSoftmax": _simple("softmax"),
    "Resize": _simple("resize"),
}
