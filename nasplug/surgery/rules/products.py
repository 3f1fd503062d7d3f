"""Convolutions, matrix products and embeddings: they read channels along one axis of a weight and make others."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from nasplug.surgery.labels import Labels
from nasplug.surgery.rules.pointwise import joined
from nasplug.surgery.trace import Call, Grouped, Rule, Trace


def _convolution(trace: Trace, call: Call) -> None:
    inputs, weight, bias, *_, transposed, _, groups = call.args
    channel = trace.axes(inputs)[1]
    first, second = trace.axes(weight)[:2]
    if trace.computed(weight) or first is None or second is None:
        trace.book.fix([channel, *trace.axes(weight)], f"the weight of a convolution in {trace.where} is computed")
        return
    made = first
    if groups == 1:
        made, read = (second, first) if transposed else (first, second)
        trace.reads(weight, read)
        trace.role(made, "out")
        _meet(trace, channel, read, "a convolution")
    else:
        made = _grouped(trace, channel, weight, groups, transposed=transposed)
    if bias is not None:
        trace.role(trace.axes(bias)[0], "along")
        _meet(trace, made, trace.axes(bias)[0], "a bias")
    trace.put(call.result, (None, made, *(None,) * (call.result.ndim - 2)))


def _grouped(trace: Trace, channel: Labels | None, weight: Tensor, groups: int, *, transposed: bool) -> Labels:
    """Whole groups are the channels of a grouped convolution: what a group reads stays with what it makes."""
    first, second = trace.axes(weight)[:2]
    assert first is not None
    assert second is not None
    rows = first.reshape(groups, -1)
    trace.book.tie(rows, rows[:, :1])
    trace.role(first, "along")
    # The second axis has one group's channels, which all groups share.
    trace.book.fix([second], f"channels inside of one group of a convolution in {trace.where}")
    each = second.size if transposed else rows.shape[1]
    made = np.repeat(rows[:, 0], each) if transposed else first
    trace.grouped.append(Grouped(trace.module, "groups", first, rows.shape[1]))
    if channel is None:
        trace.book.fix([first], f"a grouped convolution in {trace.where} reads channels of fixed number")
    else:
        trace.book.tie(channel.reshape(groups, -1), rows[:, :1])
    return made


def _addmm(trace: Trace, call: Call) -> None:
    bias, left, right = call.args[:3]
    _multiply(trace, left, right, call.result)
    if trace.axes(call.result)[-1] is not None:
        trace.put(call.result, joined(trace, [call.result, bias], call.result.shape, "a bias"))


def _mm(trace: Trace, call: Call) -> None:
    _multiply(trace, call.args[0], call.args[1], call.result)


def _multiply(trace: Trace, left: Tensor, right: Tensor, result: Tensor) -> None:
    rows, inner = trace.axes(left)[-2:] if left.ndim > 1 else (None, trace.axes(left)[0])
    other, columns = trace.axes(right)[-2:] if right.ndim > 1 else (trace.axes(right)[0], None)
    batch = _batch(trace, left, right) if result.ndim == 3 else None
    if trace.computed(left) and trace.computed(right):
        for labels in (inner, other):
            if labels is not None:
                reason = f"two computed tensors are multiplied along it in {trace.where}"
                trace.book.flaw("split", labels, reason)
                trace.book.flaw("removal", labels, f"{reason}, and may be scaled by its size")
    if not trace.computed(left) and not trace.computed(right):
        trace.book.fix([inner, other], f"two weights are multiplied along it in {trace.where}")
        trace.bend(result)
    for weight, reads, makes in ((right, other, columns), (left, inner, rows)):
        if not trace.computed(weight):
            trace.reads(weight, reads)
            trace.role(makes, "out")
    _meet(trace, inner, other, "a product")
    ends = [axis for axis, kept in ((rows, left.ndim > 1), (columns, right.ndim > 1)) if kept]
    trace.put(result, ends if result.ndim < 3 else (batch, *ends))


def _embedding(trace: Trace, call: Call) -> None:
    table, made = trace.axes(call.args[0])
    trace.book.fix([table], f"the table of an embedding in {trace.where}")
    trace.role(made, "out")
    trace.put(call.result, (*trace.axes(call.args[1]), made))


def _meet(trace: Trace, one: Labels | None, other: Labels | None, operator: str) -> None:
    if one is not None and other is not None:
        trace.book.tie(one, other)
    else:
        trace.book.fix([one, other], f"{operator} in {trace.where} reads channels of fixed number")


def _batch(trace: Trace, left: Tensor, right: Tensor) -> Labels | None:
    one, other = trace.axes(left)[0], trace.axes(right)[0]
    if one is None and other is None:
        return None
    _meet(trace, one, other, "a product")
    return one if other is not None else None


PRODUCTS: dict[str, Rule] = {
    "convolution": _convolution,
    "addmm": _addmm,
    "baddbmm": _addmm,
    "mm": _mm,
    "bmm": _mm,
    "mv": _mm,
    "embedding": _embedding,
}
