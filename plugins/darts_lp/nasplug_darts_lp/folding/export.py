"""A folded network as an ONNX file: exactly, of whole-number operators, or for the integer kernels of runtimes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nasplug.contract.errors import NasplugError
from nasplug.contract.wording import plural
from nasplug.export.onnx import exported, run_onnx
from nasplug.optional import require
from nasplug_darts_lp.folding.fold import FoldedNetwork
from nasplug_darts_lp.folding.kernels import qdq

#: Types of tensors in ONNX.
_FLOAT, _UINT8, _INT64 = 1, 2, 7


def export_onnx(folded: FoldedNetwork, path: str | Path, *, check: int = 4) -> Path:
    """Writes a folded network as ONNX, for batches of any size, and compares its outputs in onnxruntime.

    Convolutions become ConvInteger and linear layers MatMulInteger, of unsigned bytes with 32-bit sums; comparisons
    become a bisection of Gather and GreaterOrEqual.

    Args:
        folded: Network that `fold` gave.
        path: The file to write.
        check: Random inputs whose outputs must be equal to the last bit; 0 compares nothing.

    Raises:
        MissingExtraError: The extra `onnx` is not installed.
        TaskError: The rest of the network cannot be written as ONNX.
        NasplugError: An output differs. With average pools, or layers in floating point, that are not those of
            `quantise`, sums of other libraries may differ in the last bit.
    """
    generator = _generator()
    example = torch.randn(2, *folded.input_shape, generator=generator)
    path = exported(folded, example, path, **in_onnx())
    if check:
        inputs = torch.randn(check, *folded.input_shape, generator=generator)
        (found,) = run_onnx(path, inputs)
        differing = int((found != folded(inputs)).sum())
        if differing:
            raise NasplugError(
                f"the ONNX network differs from the folded one in {plural(differing, 'output')}",
                where=str(path),
                fix="leave no layer in floating point, and take average pools as modules",
            )
    return path


@dataclass(frozen=True)
class Deviation:
    """How far a file with QuantizeLinear is from the exact network, on some inputs.

    Attributes:
        inputs: Number of inputs.
        largest: Largest difference of two outputs, relative to the largest output.
        mean: Mean difference of two outputs, relative to the mean magnitude of the outputs.
        decisions: Number of inputs whose largest output stands at another place.
    """

    inputs: int
    largest: float
    mean: float
    decisions: int


def export_qdq(folded: FoldedNetwork, path: str | Path, *, check: Tensor | int = 16) -> Deviation:
    """Writes a folded network as ONNX for integer kernels, and says how far it is from the exact one in onnxruntime.

    Convolutions whose sums are requantised stand between DequantizeLinear and QuantizeLinear, as runtimes expect of
    quantised networks; see `qdq` for what may differ.

    Args:
        folded: Network that `fold` gave.
        path: File to write.
        check: Inputs (N, ...) to compare with, such as validation images; or the number of random ones.

    Raises:
        MissingExtraError: The extra `onnx` is not installed.
        SpecError: Nothing in the network has such a form.
        TaskError: The rest of the network cannot be written as ONNX.
    """
    inputs = check if isinstance(check, Tensor) else torch.randn(check, *folded.input_shape, generator=_generator())
    example = torch.randn(2, *folded.input_shape, generator=_generator())
    path = exported(qdq(folded), example, path, **in_onnx())
    return deviation(run_onnx(path, inputs)[0], folded(inputs))


def deviation(answer: Tensor, expected: Tensor) -> Deviation:
    """Compares outputs (N, ...) with those of the exact network."""
    distance, size = (answer.double() - expected.double()).abs(), expected.double().abs()
    moved = answer.flatten(1).argmax(1) != expected.flatten(1).argmax(1)
    tiny = 1e-12
    return Deviation(
        len(answer),
        float(distance.max() / size.max().clamp_min(tiny)),
        float(distance.mean() / size.mean().clamp_min(tiny)),
        int(moved.sum()),
    )


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def in_onnx() -> dict[str, Any]:
    """Arguments of the exporter that let it write the operators of this package."""
    return {"custom_translation_table": _table(), "optimize": False}


def _table() -> dict[Any, Any]:
    """How the exporter writes the operators of this package."""
    onnxscript = _require("onnxscript")
    _require("onnx")
    opset = onnxscript.opset18

    def conv(
        codes: Any,
        weight: Any,
        zero: int,
        weight_zero: int,
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        groups: int,
    ) -> Any:
        window = {"strides": list(stride), "pads": list(padding), "dilations": list(dilation), "group": groups}
        return opset.ConvInteger(codes, weight, *_zeros(opset, zero, weight_zero), **window)

    def matmul(codes: Any, weight: Any, zero: int, weight_zero: int) -> Any:
        return opset.MatMulInteger(codes, weight, *_zeros(opset, zero, weight_zero))

    def compare(inputs: Any, thresholds: Any, factor: int) -> Any:
        channels, steps = (int(size) for size in thresholds.shape)
        shape = [channels, *[1] * (len(inputs.shape) - 2)]
        rows = opset.Reshape(thresholds, _integers(opset, [-1], [1]))
        first = _integers(opset, [channel * steps for channel in range(channels)], shape)
        found, middle = None, steps + 1
        while middle > 1:
            middle //= 2
            position = _integers(opset, [middle - 1], [1])
            start = opset.Add(first, position) if found is None else opset.Add(opset.Add(first, found), position)
            reached = opset.GreaterOrEqual(inputs, opset.Gather(rows, start))
            gained = opset.Mul(opset.Cast(reached, to=_INT64), _integers(opset, [middle], [1]))
            found = gained if found is None else opset.Add(found, gained)
        return opset.Cast(opset.Mul(found, _integers(opset, [factor], [1])), to=_UINT8)

    def add(
        first: Any, second: Any, factors: Any, zeros: Any, factor: int, shift: int, out_zero: int, steps: int
    ) -> Any:
        numbers = [
            opset.Mul(
                opset.Sub(opset.Cast(codes, to=_INT64), _integers(opset, [zero], [1])),
                _integers(opset, [by * factor], [1]),
            )
            for codes, zero, by in zip((first, second), zeros, factors, strict=True)
        ]
        # Integers are divided towards 0, so that what is divided must not be negative: the clip comes first.
        low = _integers(opset, [-out_zero << shift], [1])
        raised = opset.Add(opset.Add(*numbers), _integers(opset, [(1 << shift) >> 1], [1]))
        levels = opset.Div(opset.Sub(opset.Max(raised, low), low), _integers(opset, [1 << shift], [1]))
        return opset.Cast(opset.Min(levels, _integers(opset, [steps], [1])), to=_UINT8)

    def add_requantised(first: Any, second: Any, scales: Any, zeros: Any, out_zero: int) -> Any:
        values = [
            opset.DequantizeLinear(codes, _constant(opset, _FLOAT, [scale], []), *_zeros(opset, zero))
            for codes, scale, zero in zip((first, second), scales, zeros, strict=True)
        ]
        one = _constant(opset, _FLOAT, [1.0], [])
        return opset.QuantizeLinear(opset.Add(*values), one, *_zeros(opset, out_zero))

    def quantize(values: Any, scale: float, zero: int) -> Any:
        return opset.QuantizeLinear(values, _constant(opset, _FLOAT, [scale], []), *_zeros(opset, zero))

    def between(codes: Any, low: Any, high: Any) -> Any:
        if int(low.shape[0]) == int(high.shape[0]) == 1:
            nothing = _constant(opset, _INT64, [], [0])
            return opset.Clip(codes, opset.Reshape(low, nothing), opset.Reshape(high, nothing))
        shape = _integers(opset, [-1, *[1] * (len(codes.shape) - 2)], [len(codes.shape) - 1])
        return opset.Min(opset.Max(codes, opset.Reshape(low, shape)), opset.Reshape(high, shape))

    def conv_requantised(
        codes: Any,
        weight: Any,
        scale: Any,
        bias: Any,
        zero: int,
        out_zero: int,
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        groups: int,
    ) -> Any:
        window = {"strides": list(stride), "pads": list(padding), "dilations": list(dilation), "group": groups}
        one = _constant(opset, _FLOAT, [1.0], [])
        inputs = opset.DequantizeLinear(codes, one, *_zeros(opset, zero))
        weights = opset.DequantizeLinear(weight, scale, axis=0)
        outputs = opset.Conv(inputs, weights, opset.DequantizeLinear(bias, scale, axis=0), **window)
        return opset.QuantizeLinear(outputs, one, *_zeros(opset, out_zero))

    operators = torch.ops.nasplug_darts_lp
    return {
        operators.add_integer.default: add,
        operators.add_requantised.default: add_requantised,
        operators.quantize.default: quantize,
        operators.between.default: between,
        operators.conv_requantised.default: conv_requantised,
        operators.compare.default: compare,
        operators.conv_integer.default: conv,
        operators.matmul_integer.default: matmul,
    }


def _zeros(opset: Any, *values: int) -> list[Any]:
    return [_constant(opset, _UINT8, [value], []) for value in values]


def _integers(opset: Any, values: list[int], shape: list[int]) -> Any:
    return _constant(opset, _INT64, values, shape)


def _constant(opset: Any, kind: int, values: Sequence[float], shape: list[int]) -> Any:
    onnx = _require("onnx")
    return opset.Constant(value=onnx.helper.make_tensor("constant", kind, shape, values))


def _require(module: str) -> Any:
    return require(module, extra="onnx", distribution="nasplug-darts-lp", purpose="export to ONNX")
