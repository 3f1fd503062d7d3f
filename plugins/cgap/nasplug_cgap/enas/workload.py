"""The layers of `nasplug_cgap.enas.networks.BlockNetwork`, in the order in which it computes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nasplug.workloads.builder import INPUT, WorkloadBuilder
from nasplug.workloads.darts import factorized_reduce
from nasplug.workloads.workload import Workload
from nasplug_cgap.enas.plan import BOTTLENECK, DENSE_WIDTH, GROWTH, STEM, Step


def block_workload(plan: Iterable[Step], input_shape: Sequence[int], outputs: int) -> Workload:
    """Returns the workload of a network; arguments as of the network."""
    builder = WorkloadBuilder(input_shape)
    x = _conv_norm_relu(builder, INPUT, STEM, 3)
    for step in plan:
        x = _block(builder, step, x)
    builder.fc(x, outputs, name="head")
    return builder.build()


def _block(builder: WorkloadBuilder, step: Step, x: int) -> int:
    if step.kind == "mbconv":
        return _mbconv(builder, step, x)
    if step.kind == "resnet":
        inside = _conv_norm_relu(builder, x, step.outputs, 3, step.stride)
        inside = _conv_norm(builder, inside, step.outputs, 3)
        around = x
        if step.stride != 1 or step.inputs != step.outputs:
            around = _conv_norm(builder, x, step.outputs, 1, step.stride)
        return builder.add([inside, around], post="relu")
    if step.kind == "dense":
        return _dense(builder, step, x)
    if step.kind == "identity":
        return x if step.stride == 1 else factorized_reduce(builder, x, step.outputs)
    return builder.normalise(builder.pool(step.kind, x, 3, step.stride, padding=1))


def _mbconv(builder: WorkloadBuilder, step: Step, x: int) -> int:
    inner = 2 * step.inputs
    inside = _conv_norm_relu(builder, x, inner, 1)
    inside = _conv_norm_relu(builder, inside, inner, 3, step.stride, groups=inner)
    inside = _conv_norm(builder, inside, step.outputs, 1)
    if step.stride != 1:
        return inside
    around = x if step.inputs == step.outputs else _conv_norm(builder, x, step.outputs, 1)
    return builder.add([inside, around])


def _dense(builder: WorkloadBuilder, step: Step, x: int) -> int:
    x = _conv_norm_relu(builder, x, DENSE_WIDTH, 3, step.stride)
    for _ in range(2):
        inside = builder.conv(_norm_relu(builder, x), BOTTLENECK * GROWTH, 1, bias=False)
        inside = builder.conv(_norm_relu(builder, inside), GROWTH, 3, bias=False)
        x = builder.concat([x, inside])
    return builder.conv(_norm_relu(builder, x), DENSE_WIDTH, 1, bias=False)


def _norm_relu(builder: WorkloadBuilder, x: int) -> int:
    return builder.activate(builder.normalise(x), "relu")


def _conv_norm(builder: WorkloadBuilder, x: int, channels: int, kernel: int, stride: int = 1, groups: int = 1) -> int:
    return builder.normalise(builder.conv(x, channels, kernel, stride, groups=groups, bias=False))


def _conv_norm_relu(
    builder: WorkloadBuilder, x: int, channels: int, kernel: int, stride: int = 1, groups: int = 1
) -> int:
    return builder.activate(_conv_norm(builder, x, channels, kernel, stride, groups), "relu")
