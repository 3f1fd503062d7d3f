"""Operators that combine elements at equal places: channels of all operands stay together."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from nasplug.surgery.labels import Labels
from nasplug.surgery.state import tensors_in
from nasplug.surgery.trace import Call, Trace


def combine(trace: Trace, call: Call) -> None:
    """Ties channels that meet, and fixes those that meet a size of their own."""
    operands = list(tensors_in((call.args, call.kwargs)))
    outputs = list(tensors_in(call.result))
    if not outputs or not operands:
        return
    axes = joined(trace, operands, outputs[0].shape, call.operator)
    for output in outputs:
        trace.put(output, axes)
    if not any(trace.computed(operand) for operand in operands) and not _is_linear(call, operands):
        for output in outputs:
            trace.bend(output)


def _is_linear(call: Call, operands: Sequence[Tensor]) -> bool:
    """Whether the result is proportional to each operand."""
    name = call.name.rstrip("_")
    if name == "mul":
        return len({id(operand) for operand in operands}) == len(operands)
    return name == "neg" or (name == "div" and len(operands) == 1 and operands[0] is call.args[0])


def joined(trace: Trace, operands: Sequence[Tensor], shape: Sequence[int], operator: str) -> list[Labels | None]:
    """Labels of a result with every axis of its operands broadcast.

    Args:
        trace: Trace to write ties to.
        operands: Tensors that are combined.
        shape: Shape of the result.
        operator: Name of the operator, for messages.
    """
    axes: list[Labels | None] = [None] * len(shape)
    for axis, size in enumerate(shape):
        labels: list[Labels] = []
        foreign = False
        for operand in operands:
            own = axis - (len(shape) - operand.ndim)
            if own < 0:
                continue
            found = trace.axes(operand)[own]
            if operand.shape[own] != size:
                trace.book.fix([found], f"a single channel meets many in {operator} of {trace.where}")
            elif found is not None:
                labels.append(found)
                if not trace.computed(operand):
                    trace.role(found, "along")
            elif size != 1:
                foreign = True
        if not labels:
            continue
        for other in labels[1:]:
            trace.book.tie(labels[0], other)
        if foreign:
            trace.book.fix(labels, f"{operator} in {trace.where} combines it with a tensor of a size of its own")
        else:
            axes[axis] = labels[0]
    return axes
