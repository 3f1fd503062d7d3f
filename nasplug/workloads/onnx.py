"""The workload of a model in an ONNX file."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from nasplug.contract.errors import DataError
from nasplug.contract.wording import plural
from nasplug.optional import require
from nasplug.workloads import convolutions
from nasplug.workloads.builder import INPUT, WorkloadBuilder
from nasplug.workloads.convolutions import READ, WRITTEN, image
from nasplug.workloads.shapes import infer_shapes
from nasplug.workloads.workload import Workload

if TYPE_CHECKING:
    from types import ModuleType

    from onnx import GraphProto, NodeProto


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
#: Operators that multiply, or run a graph of their own, and have no rule: a model with one is refused.
_UNCOUNTED = frozenset(
    (
        *("Attention", "ConvInteger", "DFT", "DeformConv", "Det", "LinearAttention", "MatMulInteger", "QLinearConv"),
        *("QLinearMatMul", "RotaryEmbedding", "STFT", "If", "Loop", "Scan", "SequenceMap"),
    )
)
_PRODUCTS = frozenset(("Conv", "ConvTranspose", "Gemm", "MatMul"))
#: Libraries of operators of which all that multiply are known.
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
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
    if not inputs[0].type.tensor_type.shape.dim:
        raise DataError("its input is not a batch of tensors", where=where, fix="export it with a first dimension")
    batch = inputs[0].type.tensor_type.shape.dim[0]
    if not batch.dim_value:
        name = batch.dim_param
        batch.dim_value = 1
        for item in model.graph.value_info:  # stated with the open batch size
            for dim in item.type.tensor_type.shape.dim:
                if name and dim.dim_param == name:
                    dim.dim_value = 1
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    try:
        inferred = infer_shapes(onnx, model)
    except Exception as error:  # whatever a node that contradicts its inputs makes of it
        raise DataError("its shapes cannot be inferred", where=where, why=str(error)) from error
    return _Reader(onnx, model.graph, where, bits, inferred).read(inputs[0].name)


#: Reads a node, given the rows that wrote its inputs, and returns its row.
Handler: TypeAlias = "Callable[[_Reader, NodeProto, list[int]], int]"


class _Reader:
    def __init__(
        self, onnx: ModuleType, graph: GraphProto, where: str, bits: int, shapes: Mapping[str, Shape | None]
    ) -> None:
        self._onnx, self._graph, self._where, self._bits = onnx, graph, where, bits
        self.shapes = {name: shape for name, shape in shapes.items() if shape is not None and all(shape)}
        self.rows: dict[str, int] = {}
        self._writers = {name: node for node in graph.node for name in node.output}
        self._held: set[Hashable] = set()
        self._states: set[str] = set()  # tensors made of nothing, such as a positional encoding

    def holds(self, name: str) -> bool:
        """Whether the row made now is the first with this constant, or with what is computed from it."""
        key = self._key(name)
        fresh = key not in self._held
        self._held.add(key)
        return fresh

    def _key(self, name: str) -> Hashable:
        node = self._writers.get(name)
        if node is None or not any(node.input):
            return name
        attributes = tuple(sorted(item.SerializeToString() for item in node.attribute))
        return node.op_type, attributes, list(node.output).index(name), *map(self._key, filter(None, node.input))

    def read(self, source: str) -> Workload:
        shape = self.shapes.get(source)
        if shape is None:
            raise DataError(
                "the shape of its input is open", where=self._where, fix="export it with a fixed image size"
            )
        self.builder = WorkloadBuilder(shape[1:], self._bits)
        self.rows[source] = INPUT
        for node in self._graph.node:
            made = [name for name in node.input if name in self._states]
            if made and node.op_type in _PRODUCTS and not any(name in self.rows for name in node.input):
                self.rows |= dict.fromkeys(made, INPUT)
            sources = [self.rows[name] for name in node.input if name in self.rows]
            if not sources or node.op_type in ("Shape", "Size"):  # made of constants only
                if sources or len(made) == len(list(filter(None, node.input))):
                    self._states |= set(node.output)
                continue
            row = self._node(node, sources)
            for name in node.output:
                if name:
                    self.rows[name] = row
        return self.builder.build()

    def _node(self, node: NodeProto, sources: list[int]) -> int:
        kind = node.op_type
        if kind in _UNCOUNTED or node.domain not in _DOMAINS:
            raise self.refusal(node, "there is no rule for it")
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

    def refusal(self, node: NodeProto, why: str) -> DataError:
        """An operator that multiplies in a way without a rule."""
        return DataError(
            f"the multiply-accumulates of the operator {node.op_type!r} cannot be counted",
            where=self._where,
            why=f"{why} (node {node.name!r})",
            fix="export the model with operators such as Conv, MatMul or LSTM instead",
        )

    def product(
        self,
        node: NodeProto,
        names: Sequence[str],
        sizes: tuple[int, int, int, int],
        batches: tuple[int, int],
        *,
        bias: bool,
    ) -> int:
        """A product of two tensors; sizes are the batch, m, k and n, batches those of each tensor."""
        batch, rows, inner, columns = sizes
        written = [name in self.rows for name in names]
        if all(written):
            shapes = {"n": batch, "ci": inner, "hi": rows, "wi": 1, "co": columns, "ho": rows, "wo": 1}
            return self.row("matmul", node, [self.rows[name] for name in names], **shapes)
        constant = 1 if written[0] else 0
        if not written[0]:
            rows, columns = columns, rows
        sources, stored = [self.rows[names[1 - constant]]], self.holds(names[constant])
        own = batches[constant]
        rows = rows * batch // own
        shapes = {"n": 1, "ci": inner * own, "hi": rows, "wi": 1, "co": columns * own, "ho": rows, "wo": 1}
        if own > 1:
            return self.row("conv", node, sources, **shapes, groups=own, bias=bias, stored=stored)
        return self.row("fc", node, sources, **shapes, bias=bias, stored=stored)

    def row(self, operation: str, node: NodeProto, sources: Sequence[int], **columns: float) -> int:
        shapes = image(self.shape(self.first(node)), READ) | image(self.shape(node.output[0]), WRITTEN)
        return self.builder.row(operation, sources, node.name or node.op_type, **(shapes | columns))


def _windows(
    attributes: Mapping[str, Any], kernel: Sequence[int], size: Shape, out: Shape
) -> tuple[list[int], list[int], list[int]]:
    """Stride, dilation and padding before, in every dimension."""
    ones = [1] * len(kernel)
    strides, dilations = list(attributes.get("strides", ones)), list(attributes.get("dilations", ones))
    pads = list(attributes.get("pads", [0] * 2 * len(kernel)))
    if attributes.get("auto_pad", b"NOTSET") in (b"SAME_UPPER", b"SAME_LOWER"):
        needed = [
            max(0, (o - 1) * s + d * (k - 1) + 1 - i)
            for o, s, d, k, i in zip(out[2:], strides, dilations, kernel, size[2:], strict=True)
        ]
        pads = [(total + (attributes["auto_pad"] == b"SAME_LOWER")) // 2 for total in needed]
    return strides, dilations, pads[: len(kernel)]


def _conv(reader: _Reader, node: NodeProto, sources: list[int]) -> int:
    attributes, weight = reader.attributes(node), reader.shape(node.input[1])
    size, out = reader.shape(node.input[0]), reader.shape(node.output[0])
    strides, dilations, pads = _windows(attributes, weight[2:], size, out)
    groups = int(attributes.get("group", 1))
    columns = convolutions.forward(size, weight, out, stride=strides, padding=pads, dilation=dilations, groups=groups)
    return reader.row("conv", node, sources[:1], **columns, bias=_biased(node), stored=reader.holds(node.input[1]))


def _transposed(reader: _Reader, node: NodeProto, sources: list[int]) -> int:
    size, weight, out = (reader.shape(name) for name in (*node.input[:2], node.output[0]))
    groups = int(reader.attributes(node).get("group", 1))
    columns, spread = convolutions.transposed(size, weight, out, groups)
    stated = {"bias": _biased(node) and spread is None, "stored": reader.holds(node.input[1])}
    row = reader.row("conv", node, sources[:1], **columns, **stated)
    return row if spread is None else reader.row("add", node, [row], **spread, bias=_biased(node))


def _biased(node: NodeProto) -> bool:
    return len(node.input) > 2 and bool(node.input[2])


def _product(reader: _Reader, node: NodeProto, sources: list[int]) -> int:
    """Gemm and MatMul: by a constant a linear layer, else a product of activations."""
    first, second = (reader.shape(name) for name in node.input[:2])
    attributes = reader.attributes(node)
    if len(first) < 2:
        first = (1, *first)
    if len(second) < 2:
        second = (*second, 1)
    rows, inner = (first[::-1] if attributes.get("transA") else first)[-2:]
    columns = second[-2] if attributes.get("transB") else second[-1]
    batches = (math.prod(first[:-2]), math.prod(second[:-2]))
    batch = math.prod(max(pair) for pair in zip_longest(first[-3::-1], second[-3::-1], fillvalue=1))
    return reader.product(node, node.input[:2], (batch, rows, inner, columns), batches, bias=_biased(node))


def _einsum(reader: _Reader, node: NodeProto, sources: list[int]) -> int:
    """Two operands are a product over the indices that the output lacks; anything else has no rule."""
    equation = reader.attributes(node)["equation"].decode().replace(" ", "")
    operands, _, result = equation.partition("->")
    terms = operands.split(",")
    if len(terms) != 2 or "." in equation or "->" not in equation:
        raise reader.refusal(node, f"einsum {equation!r} is not a product of two tensors with a stated result")
    sizes: dict[str, int] = {}
    for term, name in zip(terms, node.input, strict=True):
        sizes |= dict(zip(term, reader.shape(name), strict=True))
    first, second, kept = map(set, (*terms, result))

    def count(letters: set[str]) -> int:
        return math.prod(sizes[letter] for letter in letters)

    shapes = (count(first & second & kept), count((first - second) & kept), count((first & second) - kept))
    batches = (shapes[0],) * 2
    return reader.product(node, node.input[:2], (*shapes, count((second - first) & kept)), batches, bias=False)


def _recurrent(gates: int) -> Handler:
    """LSTM, GRU and RNN: the inputs of all steps by their weights, and every state by its own."""

    def handle(reader: _Reader, node: NodeProto, sources: list[int]) -> int:
        weight, steps = reader.shape(node.input[1]), reader.shape(node.input[0])
        hidden = weight[1] // gates
        count = math.prod(steps[:2])
        shapes = {"n": 1, "hi": count, "wi": 1, "ho": count, "wo": 1}
        last = sources[0]
        for direction in range(weight[0]):
            for name, inner in ((node.input[1], weight[2]), (node.input[2], hidden)):
                last = reader.row(
                    "fc",
                    node,
                    [sources[0]] if name == node.input[1] else [last],
                    **(shapes | {"ci": inner, "co": weight[1]}),
                    bias=len(node.input) > 3 and bool(node.input[3]),
                    stored=reader.holds(name) or direction > 0,
                )
        return last

    return handle


def _pool(kind: str) -> Handler:
    def handle(reader: _Reader, node: NodeProto, sources: list[int]) -> int:
        attributes = reader.attributes(node)
        kernel = attributes["kernel_shape"]
        size, out = reader.shape(node.input[0]), reader.shape(node.output[0])
        strides, dilations, pads = _windows(attributes, kernel, size, out)
        columns = convolutions.pool(size, kernel, out, stride=strides, padding=pads, dilation=dilations)
        return reader.row(kind, node, sources, **columns)

    return handle


def _global_pool(reader: _Reader, node: NodeProto, sources: list[int]) -> int:
    size, kept = reader.shape(node.input[0]), math.prod(reader.shape(node.output[0]))
    if len(size) == 3 and kept == size[0] * size[2]:  # tokens
        size = (size[0], size[2], size[1], 1)
    elif len(size) < 3 or kept != size[0] * size[1]:
        return reader.row("other", node, sources)
    columns = convolutions.pool(size, size[2:], (*size[:2], *(1 for _ in size[2:])))
    return reader.row("avgpool", node, sources, **columns)


def _elementwise(kind: str) -> Handler:
    def handle(reader: _Reader, node: NodeProto, sources: list[int]) -> int:
        largest = max((reader.shape(name) for name in node.input if name in reader.rows), key=math.prod)
        return reader.row(kind, node, sources, **image(largest, READ))

    return handle


def _simple(kind: str) -> Handler:
    return lambda reader, node, sources: reader.row(kind, node, sources)


_HANDLERS: dict[str, Handler] = {
    "Conv": _conv,
    "ConvTranspose": _transposed,
    "Einsum": _einsum,
    "LSTM": _recurrent(4),
    "GRU": _recurrent(3),
    "RNN": _recurrent(1),
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
