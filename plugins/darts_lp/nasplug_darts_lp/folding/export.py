"""A folded network as an ONNX file of whole-number operators."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from nasplug.contract.errors import NasplugError
from nasplug.contract.wording import plural
from nasplug.export.onnx import exported, run_onnx
from nasplug.optional import require
from nasplug_darts_lp.folding.fold import FoldedNetwork

#: Types of tensors in ONNX.
_UINT8, _INT64 = 2, 7


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
    generator = torch.Generator().manual_seed(0)
    example = torch.randn(2, *folded.input_shape, generator=generator)
    path = exported(folded, example, path, custom_translation_table=_table(), optimize=False)
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

    operators = torch.ops.nasplug_darts_lp
    return {
        operators.compare.default: compare,
        operators.conv_integer.default: conv,
        operators.matmul_integer.default: matmul,
    }


def _zeros(opset: Any, *values: int) -> list[Any]:
    return [_constant(opset, _UINT8, [value], []) for value in values]


def _integers(opset: Any, values: list[int], shape: list[int]) -> Any:
    return _constant(opset, _INT64, values, shape)


def _constant(opset: Any, kind: int, values: list[int], shape: list[int]) -> Any:
    onnx = _require("onnx")
    return opset.Constant(value=onnx.helper.make_tensor("constant", kind, shape, values))


def _require(module: str) -> Any:
    return require(module, extra="onnx", distribution="nasplug-darts-lp", purpose="export to ONNX")
