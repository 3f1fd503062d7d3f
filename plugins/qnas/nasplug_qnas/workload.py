"""The layers of `nasplug_qnas.networks.ChainNetwork`, from the names of its functions. No torch."""

from __future__ import annotations

from collections.abc import Sequence

from nasplug.contract.errors import SpecError
from nasplug.workloads.builder import INPUT, WorkloadBuilder
from nasplug.workloads.workload import Workload
from nasplug_qnas.functions import Function

_POOLS = {"max_pool": "maxpool", "avg_pool": "avgpool"}


def chain_workload(functions: Sequence[str], input_shape: Sequence[int], outputs: int, head: str = "gap") -> Workload:
    """The workload of a chain.

    Args:
        functions: Names of functions, in order.
        input_shape: Channels, height and width of an image.
        outputs: Number of classes.
        head: `gap` or `flatten`.

    Raises:
        SpecError: The inputs are not images, or a name is not that of a function.
    """
    if len(input_shape) != 3:
        raise SpecError(f"expected an image (C, H, W), got shape {tuple(input_shape)}", where="Q-NAS chain")
    builder, x = WorkloadBuilder(input_shape), INPUT
    for function in map(Function.parse, functions):
        if function.kind in _POOLS:
            if min(builder.shape(x)[2:]) >= function.kernel:  # else it is an identity
                x = builder.pool(_POOLS[function.kind], x, function.kernel, function.stride)
        elif function.kind == "conv":
            x = _relu(builder, _conv_norm(builder, x, function.filters, function.kernel, function.stride, bias=True))
        elif function.kind != "no_op":
            x = _residual(builder, function, x)
    if head == "gap":
        x = builder.global_pool(x)
    builder.fc(x, outputs, name="classifier")
    return builder.build()


def _residual(builder: WorkloadBuilder, function: Function, x: int) -> int:
    kernel, stride, filters = function.kernel, function.stride, function.filters
    branch = _relu(builder, _conv_norm(builder, x, filters, kernel, stride))
    branch = _conv_norm(builder, branch, filters, kernel)
    if function.kind == "bv1p":
        return _relu(builder, builder.add([branch, _conv_norm(builder, x, filters, 1, stride)]))
    widest = max(filters, builder.shape(x)[1])  # the narrower one gets channels of zeros
    return _relu(builder, builder.row("add", [branch, x], ci=widest, co=widest))


def _conv_norm(builder: WorkloadBuilder, x: int, filters: int, kernel: int, stride: int = 1, bias: bool = False) -> int:
    """A convolution to ceil(size / stride); uneven padding is done beforehand, and makes the input larger."""
    if stride == 1 and kernel % 2 == 1:
        return builder.normalise(builder.conv(x, filters, kernel, bias=bias))
    _, _, height, width = builder.shape(x)
    ho, wo = -(-height // stride), -(-width // stride)
    hi, wi = max((ho - 1) * stride + kernel, height), max((wo - 1) * stride + kernel, width)
    row = builder.conv(x, filters, kernel, stride, padding=0, bias=bias, hi=hi, wi=wi, ho=ho, wo=wo)
    return builder.normalise(row)


def _relu(builder: WorkloadBuilder, x: int) -> int:
    return builder.activate(x, "relu")
