"""The layers of `nasplug_emonas.networks.micro.MicroNetwork`, in the order in which it computes them."""

from __future__ import annotations

from collections.abc import Sequence

from nasplug.contract.errors import SpecError
from nasplug.spaces.cells import INPUTS, Frame, frames
from nasplug.workloads.builder import INPUT, WorkloadBuilder
from nasplug.workloads.darts import concat, factorized_reduce
from nasplug.workloads.workload import Workload
from nasplug_emonas.cells import Cell, unused


def micro_workload(
    normal: Cell,
    reduction: Cell,
    input_shape: Sequence[int],
    outputs: int,
    channels: int = 16,
    layers: int = 8,
    increment: int | None = None,
) -> Workload:
    """The workload of a network; arguments as of the network.

    Raises:
        SpecError: The inputs are not images.
    """
    if len(input_shape) != 3:
        raise SpecError(f"expected an image (C, H, W), got shape {tuple(input_shape)}", where="emonas.micro")
    builder = WorkloadBuilder(input_shape)
    before_last = last = builder.normalise(builder.conv(INPUT, 3 * channels, 3, bias=False))
    for frame in frames(channels, layers, (len(unused(normal)), len(unused(reduction))), increment):
        cell = reduction if frame.reduction else normal
        before_last, last = last, _cell(builder, cell, frame, before_last, last)
    builder.fc(builder.global_pool(last), outputs, name="classifier")
    return builder.build()


def _cell(builder: WorkloadBuilder, cell: Cell, frame: Frame, before_last: int, last: int) -> int:
    channels = frame.channels
    read = {source for block in cell for _, source in block}
    values: dict[int, int] = {}
    if 0 in read:
        halve = factorized_reduce if frame.after_reduction else _relu_conv_norm
        values[0] = halve(builder, before_last, channels)
    if 1 in read:
        values[1] = _relu_conv_norm(builder, last, channels)
    for index, block in enumerate(cell, start=INPUTS):
        units = [
            _operation(builder, name, values[source], 2 if frame.reduction and source < INPUTS else 1)
            for name, source in block
        ]
        values[index] = builder.add(units)
    return concat(builder, [values[end] for end in unused(cell)])


def _operation(builder: WorkloadBuilder, name: str, x: int, stride: int) -> int:
    channels = builder.shape(x)[1]
    if name == "skip_connect":
        return x if stride == 1 else factorized_reduce(builder, x, channels)
    if name.endswith("pool_3x3"):
        return builder.pool("maxpool" if name.startswith("max") else "avgpool", x, 3, stride, padding=1)
    if name == "conv_7x1_1x7":
        x = builder.conv(builder.activate(x, "relu"), channels, (1, 7), (1, stride), bias=False)
        return builder.normalise(builder.conv(x, channels, (7, 1), (stride, 1), bias=False))
    kernel = int(name[-1])
    if name.startswith("dil_conv"):
        return _separable(builder, x, kernel, stride, dilation=2)
    return _separable(builder, _separable(builder, x, kernel, stride), kernel, 1)


def _separable(builder: WorkloadBuilder, x: int, kernel: int, stride: int, dilation: int = 1) -> int:
    channels = builder.shape(x)[1]
    x = builder.activate(x, "relu")
    x = builder.conv(x, channels, kernel, stride, dilation=dilation, groups=channels, bias=False)
    return builder.normalise(builder.conv(x, channels, 1, bias=False))


def _relu_conv_norm(builder: WorkloadBuilder, x: int, outputs: int) -> int:
    return builder.normalise(builder.conv(builder.activate(x, "relu"), outputs, 1, bias=False))
