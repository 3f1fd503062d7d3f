"""The layers of `nasplug_emonas.networks.macro.MacroNetwork`, in the order in which it computes them."""

from __future__ import annotations

from collections.abc import Sequence

from nasplug.contract.errors import SpecError
from nasplug.workloads.builder import INPUT, WorkloadBuilder
from nasplug.workloads.workload import Workload
from nasplug_emonas.phases import Phase


def macro_workload(
    phases: Sequence[Phase],
    input_shape: Sequence[int],
    outputs: int,
    channels: Sequence[int],
    decoder: str = "residual",
    growth: int = 64,
) -> Workload:
    """The workload of a network; arguments as of the network.

    Raises:
        SpecError: The inputs are not images.
    """
    if len(input_shape) != 3:
        raise SpecError(f"expected an image (C, H, W), got shape {tuple(input_shape)}", where="emonas.macro")
    builder = WorkloadBuilder(input_shape)
    x, side = INPUT, min(input_shape[1:])
    for index, phase in enumerate(phases):
        if index and side >= 2:
            x = builder.pool("maxpool", x, 2)
            side //= 2
        x = _phase(builder, phase, x, channels[index], index == 0, decoder, growth)
    builder.fc(builder.global_pool(x), outputs, name="classifier")
    return builder.build()


def _phase(builder: WorkloadBuilder, phase: Phase, x: int, outputs: int, first: bool, decoder: str, growth: int) -> int:
    dense = decoder == "dense"
    if builder.shape(x)[1] != outputs:
        x = builder.conv(x, outputs, 3 if first else 1, bias=False)
    values = [x]
    for sources in phase.inputs:
        joined = builder.concat([values[source] for source in sources])
        if len(sources) > 1 and not dense:
            joined = builder.conv(joined, outputs, 1, bias=False)
        values.append(_node(builder, decoder, joined, growth if dense else outputs))
    joined = builder.concat([values[source] for source in phase.outputs])
    if dense or len(phase.outputs) > 1:
        joined = builder.conv(joined, outputs, 1, bias=False)
    return _norm_relu(builder, joined)


def _node(builder: WorkloadBuilder, kind: str, x: int, outputs: int) -> int:
    if kind == "residual":
        return _norm_relu(builder, builder.conv(x, outputs, 3, bias=False))
    x = _norm_relu(builder, x)
    if kind == "dense":
        x = _norm_relu(builder, builder.conv(x, 4 * outputs, 1, bias=False))
    return builder.conv(x, outputs, 3, bias=False)


def _norm_relu(builder: WorkloadBuilder, x: int) -> int:
    return builder.activate(builder.normalise(x), "relu")
