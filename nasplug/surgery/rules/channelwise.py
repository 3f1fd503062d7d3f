"""Normalisations, poolings and reductions: they work on every channel alone, or mix channels without a weight."""

from __future__ import annotations

from nasplug.surgery.labels import Labels
from nasplug.surgery.state import tensors_in
from nasplug.surgery.trace import Call, Grouped, Rule, Trace


def _batch_norm(trace: Trace, call: Call) -> None:
    inputs, *state = call.args[:5]
    axes = list(trace.axes(inputs))
    _mixed(trace, [axis for index, axis in enumerate(axes) if index != 1], "normalised over")
    axes[1] = _scaled(trace, axes[1], state)
    _first(trace, call.result, axes)


def _layer_norm(trace: Trace, call: Call) -> None:
    inputs, shape, *state = call.args[:4]
    axes = list(trace.axes(inputs))
    start = len(axes) - len(shape)
    vectors = list(tensors_in(state))
    for axis in range(start, len(axes)):
        axes[axis] = _tied(trace, axes[axis], [trace.axes(tensor)[axis - start] for tensor in vectors])
    _mixed(trace, axes[start:], "normalised over")
    for labels in axes[start:]:
        if labels is not None:
            trace.followed(labels)
    _first(trace, call.result, axes)


def _group_norm(trace: Trace, call: Call) -> None:
    inputs, weight, bias, groups = call.args[0], call.args[1], call.args[2], call.args[6]
    axes = list(trace.axes(inputs))
    axes[1] = _scaled(trace, axes[1], (weight, bias))
    channel = axes[1]
    if channel is not None and groups == 1:
        _mixed(trace, [channel], "normalised over")
    elif channel is not None:
        rows = channel.reshape(groups, -1)
        trace.book.tie(rows, rows[:, :1])
        trace.grouped.append(Grouped(trace.module, "num_groups", channel, rows.shape[1]))
    _first(trace, call.result, axes)


def _reduce(trace: Trace, call: Call) -> None:
    inputs = call.args[0]
    axes = list(trace.axes(inputs))
    given = call.args[1] if len(call.args) > 1 else call.kwargs.get("dim")
    if call.name == "linalg_vector_norm":
        given = call.args[2] if len(call.args) > 2 else call.kwargs.get("dim")
    dims = {given} if isinstance(given, int) else set(given or range(len(axes)))
    dims = {dim % len(axes) for dim in dims}
    _mixed(trace, [axes[dim] for dim in dims], "reduced")
    output = next(tensors_in(call.result))
    kept = output.ndim == len(axes)
    left = [None if index in dims else axis for index, axis in enumerate(axes) if kept or index not in dims]
    for tensor in tensors_in(call.result):
        trace.put(tensor, left)


def _along(trace: Trace, call: Call) -> None:
    """Softmax and sums along one axis."""
    axes = trace.axes(call.args[0])
    _mixed(trace, [axes[call.args[1] % len(axes)]], "mixed")
    _first(trace, call.result, list(axes))


def _spatial(trace: Trace, call: Call) -> None:
    """Poolings, resizing and padding of everything behind the channels."""
    axes = trace.axes(call.args[0])
    kept = len(axes) - next(int(letter) for letter in call.name if letter in "123")
    trace.book.fix(axes[kept:], f"{call.operator} in {trace.where} changes its size")
    for tensor in tensors_in(call.result):
        trace.put(tensor, [*axes[:kept], *[None] * (tensor.ndim - kept)])


def _scaled(trace: Trace, channel: Labels | None, state: object) -> Labels | None:
    return _tied(trace, channel, [trace.axes(tensor)[0] for tensor in tensors_in(state)])


def _tied(trace: Trace, channel: Labels | None, own: list[Labels | None]) -> Labels | None:
    for labels in own:
        trace.role(labels, "along")
        if labels is None or channel is None:
            trace.book.fix([labels, channel], f"{trace.where} scales channels of fixed number")
        else:
            trace.book.tie(channel, labels)
    return channel


def _mixed(trace: Trace, axes: list[Labels | None], how: str) -> None:
    for labels in axes:
        if labels is not None:
            for kind in ("removal", "split"):
                trace.book.flaw(kind, labels, f"channels are {how} in {trace.where}")


def _first(trace: Trace, result: object, axes: list[Labels | None]) -> None:
    trace.put(next(tensors_in(result)), axes)


_POOLS = ("max_pool2d_with_indices", "max_pool3d_with_indices", "avg_pool2d", "avg_pool3d", "avg_pool1d")
_ADAPTIVE = ("_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
_ADAPTIVE_MAX = ("adaptive_max_pool2d", "adaptive_max_pool3d", "adaptive_max_pool1d")
_PADS = ("reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "replication_pad1d", "replication_pad2d")
_RESIZE = ("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "_upsample_nearest_exact2d")
_SMOOTH = ("upsample_bilinear2d", "upsample_bicubic2d", "upsample_trilinear3d", "upsample_linear1d")
_SPATIAL = (*_POOLS, *_ADAPTIVE, *_ADAPTIVE_MAX, *_PADS, "replication_pad3d", *_RESIZE, *_SMOOTH)
_NORMS = ("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "cudnn_batch_norm")
_REDUCTIONS = ("mean", "sum", "amax", "amin", "var", "std", "var_mean", "linalg_vector_norm", "argmax", "max", "min")

CHANNELWISE: dict[str, Rule] = {
    **dict.fromkeys(_NORMS, _batch_norm),
    "native_layer_norm": _layer_norm,
    "native_group_norm": _group_norm,
    **dict.fromkeys(_REDUCTIONS, _reduce),
    **dict.fromkeys(("_softmax", "softmax", "_safe_softmax", "_log_softmax", "cumsum"), _along),
    **dict.fromkeys(_SPATIAL, _spatial),
}
