"""Operators that move, join and divide axes without computing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from nasplug.surgery.labels import Labels
from nasplug.surgery.rules.pointwise import joined
from nasplug.surgery.state import tensors_in
from nasplug.surgery.trace import Call, Rule, Trace


def _same(trace: Trace, call: Call) -> None:
    axes = trace.axes(call.args[0])
    for labels in axes:
        if labels is not None:
            trace.followed(labels)  # a slice of everything
    trace.put(call.result, axes)


def _written(trace: Trace, call: Call) -> None:
    """A tensor written into another one."""
    into, source = call.args[:2]
    trace.put(into, joined(trace, [into, source], into.shape, "a copy"))


def _view(trace: Trace, call: Call) -> None:
    source: Tensor = call.args[0]
    old, new = tuple(source.shape), tuple(call.result.shape)
    axes = trace.axes(source)
    out: list[Labels | None] = [None] * len(new)
    for before, after in segments(old, new):
        labelled = [index for index in before if axes[index] is not None]
        if not labelled:
            continue
        if len(before) == 1 and len(after) == 1:
            out[after[0]] = axes[before[0]]
            continue
        if len(labelled) > 1:
            trace.book.fix([axes[index] for index in labelled], f"several axes become one in {trace.where}")
            continue
        index = labelled[0]
        labels = axes[index]
        assert labels is not None
        shape = [1] * len(before)
        shape[before.index(index)] = len(labels)
        grid = np.broadcast_to(labels.reshape(shape), [old[each] for each in before])
        grid = grid.reshape([new[each] for each in after])
        trace.followed(labels)
        for axis, found in _divided(trace, grid):
            out[after[axis]] = found
            trace.followed(found, heads=len(found) in heads_of(trace.running_module).values())
    trace.put(call.result, out)


def segments(old: Sequence[int], new: Sequence[int]) -> Iterator[tuple[list[int], list[int]]]:
    """Divides a change of shape into the smallest runs of axes that hold the same number of elements.

    Args:
        old: Sizes before.
        new: Sizes after; their product is the same.

    Yields:
        Axes before and axes after.
    """
    i = j = 0
    while i < len(old) or j < len(new):
        before, after = [i] if i < len(old) else [], [j] if j < len(new) else []
        left = old[i] if i < len(old) else 1
        right = new[j] if j < len(new) else 1
        i, j = i + len(before), j + len(after)
        while left != right:
            if left < right:
                left *= old[i]
                before.append(i)
                i += 1
            else:
                right *= new[j]
                after.append(j)
                j += 1
        yield before, after


def _divided(trace: Trace, grid: Labels) -> list[tuple[int, Labels]]:
    """Labels of the axes that one axis was divided into; all indices that share a place along one of them are tied."""
    varies = [axis for axis in range(grid.ndim) if grid.shape[axis] > 1 and (grid != grid.take([0], axis)).any()]
    if not varies:  # one channel
        whole = [(axis, grid.reshape(-1)) for axis in range(grid.ndim) if grid.shape[axis] == grid.size]
        if not whole:
            trace.book.fix([grid], f"the only channel is divided in {trace.where}")
        return whole[:1]
    axis = varies[0]
    if len(varies) > 1:
        axis = _resized(trace, grid.shape, varies)
        rows = np.moveaxis(grid, axis, 0).reshape(grid.shape[axis], -1)
        trace.book.tie(rows, rows[:, :1])
    first: Labels = np.moveaxis(grid, axis, 0).reshape(grid.shape[axis], -1)[:, 0]
    return [(axis, first)]


def _resized(trace: Trace, shape: Sequence[int], varies: Sequence[int]) -> int:
    """The axis whose size can change: the number of heads, else the longest one that no attribute of the module names.

    It is only a guess, and the change is tried before it is believed.
    """
    numbers = {name: value for name, value in vars(trace.running_module).items() if type(value) is int}
    heads = set(heads_of(trace.running_module).values())
    named = [axis for axis in varies if shape[axis] in heads]
    if len(named) > 1 and named[-1] == len(shape) - 1:
        named.pop()  # the width of a head, which may be as large
    if named:
        return named[-1]  # the one behind a factor 3 for queries, keys and values, which may be as large
    free = [axis for axis in varies if shape[axis] not in numbers.values()]
    return max(free or varies, key=lambda axis: shape[axis])


def heads_of(module: nn.Module) -> dict[str, int]:
    """Attributes of a module that are numbers of heads, by their names."""
    return {
        name: value
        for name, value in vars(module).items()
        if type(value) is int and "head" in name and "dim" not in name
    }


def _permute(trace: Trace, call: Call) -> None:
    axes = trace.axes(call.args[0])
    trace.put(call.result, [axes[dim] for dim in call.args[1]])


def _transpose(trace: Trace, call: Call) -> None:
    axes = list(trace.axes(call.args[0]))
    if axes and len(axes) > 1:
        one, other = (call.args[1], call.args[2]) if len(call.args) > 2 else (0, 1)
        axes[one], axes[other] = axes[other], axes[one]
    trace.put(call.result, axes)


def _expand(trace: Trace, call: Call) -> None:
    axes = trace.axes(call.args[0])
    for labels in axes:
        if labels is not None and len(labels) > 1:
            trace.followed(labels)
    lead = call.result.ndim - len(axes)
    sizes = call.args[0].shape
    single = [axis for i, axis in enumerate(axes) if sizes[i] != call.result.shape[i + lead]]
    trace.book.fix(single, f"a single channel is repeated in {trace.where}")
    out: list[Labels | None] = [None] * lead
    out += [axis if sizes[i] == call.result.shape[i + lead] else None for i, axis in enumerate(axes)]
    trace.put(call.result, out)


def _repeat(trace: Trace, call: Call) -> None:
    axes: list[Labels | None] = [None] * (call.result.ndim - call.args[0].ndim)
    axes += trace.axes(call.args[0])
    trace.put(
        call.result, [axis if axis is None else np.tile(axis, n) for axis, n in zip(axes, call.args[1], strict=True)]
    )


def _squeeze(trace: Trace, call: Call) -> None:
    axes, sizes = trace.axes(call.args[0]), call.args[0].shape
    given = (
        range(len(axes)) if len(call.args) < 2 else [call.args[1]] if isinstance(call.args[1], int) else call.args[1]
    )
    gone = {dim % len(axes) for dim in given if sizes[dim] == 1}
    trace.book.fix([axes[dim] for dim in gone], f"an axis is dropped in {trace.where}")
    trace.put(call.result, [axis for index, axis in enumerate(axes) if index not in gone])


def _unsqueeze(trace: Trace, call: Call) -> None:
    axes = list(trace.axes(call.args[0]))
    axes.insert(call.args[1] % call.result.ndim, None)
    trace.put(call.result, axes)


def _select(trace: Trace, call: Call) -> None:
    axes = list(trace.axes(call.args[0]))
    labels = axes.pop(call.args[1] % len(axes))
    if labels is not None:
        trace.book.fix([labels], f"single channels are taken in {trace.where}")
    trace.put(call.result, axes)


def _slice(trace: Trace, call: Call) -> None:
    given: list[Any] = [*call.args, *[0, None, None, 1][len(call.args) - 1 :]]
    source, dim, start, end, step = given
    axes = list(trace.axes(source))
    labels = axes[dim]
    if labels is not None:
        part = labels[start:end:step]
        trace.part(labels, part)
        axes[dim] = part
    trace.put(call.result, axes)


def _split(trace: Trace, call: Call) -> None:
    source = call.args[0]
    dim = (call.args[2] if len(call.args) > 2 else call.kwargs.get("dim", 0)) % source.ndim
    axes = trace.axes(source)
    labels = axes[dim]
    pieces: list[Labels] = []
    for part in call.result:
        own = list(axes)
        if labels is not None:
            start = sum(map(len, pieces))
            piece = labels[start : start + part.shape[dim]]
            trace.part(labels, piece)
            own[dim] = piece
            pieces.append(piece)
        trace.put(part, own)
    if len(pieces) > 1 and isinstance(call.args[1], int) and len({len(piece) for piece in pieces}) == 1:
        trace.pieces.append(tuple(pieces))


def _unbind(trace: Trace, call: Call) -> None:
    dim = (call.args[1] if len(call.args) > 1 else 0) % call.args[0].ndim
    axes = list(trace.axes(call.args[0]))
    labels = axes.pop(dim)
    trace.book.fix([labels], f"single channels are taken in {trace.where}")
    for part in call.result:
        trace.put(part, axes)


def _cat(trace: Trace, call: Call) -> None:
    parts = [part for part in call.args[0] if part.ndim == call.result.ndim]
    dim = (call.args[1] if len(call.args) > 1 else call.kwargs.get("dim", 0)) % call.result.ndim
    axes = _parallel(trace, parts, dim, call.result.ndim)
    along = [trace.axes(part)[dim] for part in parts]
    if any(labels is not None for labels in along):
        pieces = []
        for part, labels in zip(parts, along, strict=True):
            if labels is None:
                labels = trace.book.new(part.shape[dim])
                trace.book.fix([labels], f"a tensor of fixed size is appended in {trace.where}")
            elif not trace.computed(part):
                trace.role(labels, "along")
            pieces.append(labels)
        axes[dim] = np.concatenate(pieces)
    trace.put(call.result, axes)


def _parallel(trace: Trace, parts: Sequence[Tensor], dim: int, ndim: int) -> list[Labels | None]:
    """Labels of the axes along which tensors lie side by side, with an axis of their own at `dim`."""
    axes: list[Labels | None] = [None] * ndim
    for axis in range(ndim):
        found = [trace.axes(part)[axis] for part in parts]
        own = [labels for labels in found if labels is not None]
        if axis == dim or not own:
            continue
        for part, labels in zip(parts, found, strict=True):
            if labels is not None and not trace.computed(part):
                trace.role(labels, "along")
        for other in own[1:]:
            trace.book.tie(own[0], other)
        if len(own) < len(found) and own[0].size > 1:
            trace.book.fix(own, f"tensors of fixed size are put beside it in {trace.where}")
        else:
            axes[axis] = own[0]
    return axes


def _stack(trace: Trace, call: Call) -> None:
    dim = (call.args[1] if len(call.args) > 1 else 0) % call.result.ndim
    axes = _parallel(trace, call.args[0], -1, call.result.ndim - 1)
    axes.insert(dim, None)
    trace.put(call.result, axes)


def _pad(trace: Trace, call: Call) -> None:
    axes = list(trace.axes(call.args[0]))
    amounts = list(call.args[1])
    for index in range(len(amounts) // 2):
        dim = len(axes) - 1 - index
        labels, low, high = axes[dim], amounts[2 * index], amounts[2 * index + 1]
        if labels is None or low == high == 0:
            continue
        if low < 0 or high < 0 or (len(call.args) > 2 and call.args[2] != 0):
            how = "cropped" if low < 0 or high < 0 else "padded with another number than 0"
            trace.book.fix([labels], f"channels are {how} in {trace.where}")
            axes[dim] = None
            continue
        padded = np.concatenate([trace.book.new(low), labels, trace.book.new(high)])
        trace.padded(labels, padded)
        axes[dim] = padded
    trace.put(call.result, axes)


def _index(trace: Trace, call: Call) -> None:
    """One axis at the front indexed by a table, such as a relative position bias; else what is indexed is fixed."""
    _look_up(trace, call.args[0], call.args[1], call.result)


def _look_up(trace: Trace, source: Tensor, given: Sequence[object], result: Tensor) -> None:
    axes = trace.axes(source)
    indexed = [dim for dim, index in enumerate(given) if isinstance(index, Tensor)]
    trace.book.fix([axes[dim] for dim in indexed], f"it is looked up in {trace.where}")
    if len(indexed) == 1:
        dim = indexed[0]
        lead = result.ndim - (len(axes) - 1)
        trace.put(result, [*axes[:dim], *([None] * lead), *axes[dim + 1 :]])
        for labels in (*axes[:dim], *axes[dim + 1 :]):
            if not trace.computed(source):
                trace.role(labels, "along")
    else:
        trace.book.fix(axes, f"it is looked up in {trace.where}")


def _index_select(trace: Trace, call: Call) -> None:
    given: list[object] = [None] * call.args[0].ndim
    given[call.args[1]] = call.args[2]
    _look_up(trace, call.args[0], given, call.result)


def _pixel_shuffle(trace: Trace, call: Call) -> None:
    axes = list(trace.axes(call.args[0]))
    labels = axes[-3]
    if labels is not None:
        rows = labels.reshape(call.result.shape[-3], -1)
        trace.book.tie(rows, rows[:, :1])
        axes[-3] = rows[:, 0]
    trace.book.fix(axes[-2:], f"{call.operator} in {trace.where} changes its size")
    trace.put(call.result, [*axes[:-2], None, None])


def _pixel_unshuffle(trace: Trace, call: Call) -> None:
    axes = list(trace.axes(call.args[0]))
    labels = axes[-3]
    trace.book.fix(axes[-2:], f"{call.operator} in {trace.where} changes its size")
    made = None if labels is None else np.repeat(labels, call.args[1] ** 2)
    trace.put(call.result, [*axes[:-3], made, None, None])


def _glu(trace: Trace, call: Call) -> None:
    """The first half times a function of the second one."""
    axes = list(trace.axes(call.args[0]))
    dim = (call.args[1] if len(call.args) > 1 else -1) % len(axes)
    labels = axes[dim]
    if labels is not None:
        first, second = labels[: len(labels) // 2], labels[len(labels) // 2 :]
        for half in (first, second):
            trace.part(labels, half)
        trace.book.tie(first, second)
        axes[dim] = first
    trace.put(call.result, axes)


def _rolled(trace: Trace, call: Call) -> None:
    axes = list(trace.axes(call.args[0]))
    dims = call.args[-1] if len(call.args) > 1 else call.kwargs.get("dims", ())
    for dim in [dims] if isinstance(dims, int) else dims:
        trace.book.fix([axes[dim]], f"{call.operator} in {trace.where} moves single channels")
    trace.put(call.result, axes)


def _strided(trace: Trace, call: Call) -> None:
    """Another layout of the same elements; anything else is not followed."""
    axes = trace.axes(call.args[0])
    if tuple(call.args[1]) != tuple(call.args[0].shape):
        trace.book.fix(axes, f"memory is laid out anew in {trace.where}")
    trace.put(call.result, axes)


def _kept(trace: Trace, call: Call) -> None:
    for tensor in tensors_in(call.result):
        trace.put(tensor, trace.axes(call.args[0]))


def _like(trace: Trace, call: Call) -> None:
    """A tensor of the size of another one, alike for all of its channels."""
    if trace.computed(call.args[0]):
        trace.put(call.result, trace.axes(call.args[0]))


VIEWS: dict[str, Rule] = {
    **dict.fromkeys(("detach", "alias", "lift_fresh"), _same),
    **dict.fromkeys(("clone", "contiguous", "_to_copy", "bernoulli", "native_dropout"), _kept),
    **dict.fromkeys(("copy_", "copy"), _written),
    **dict.fromkeys(("empty_like", "zeros_like", "ones_like", "full_like", "rand_like", "randn_like"), _like),
    **dict.fromkeys(("view", "_unsafe_view", "reshape", "unflatten", "_reshape_alias"), _view),
    "permute": _permute,
    **dict.fromkeys(("transpose", "t", "transpose_"), _transpose),
    "expand": _expand,
    "repeat": _repeat,
    "squeeze": _squeeze,
    "unsqueeze": _unsqueeze,
    "select": _select,
    "slice": _slice,
    **dict.fromkeys(("split", "split_with_sizes", "chunk"), _split),
    "unbind": _unbind,
    "cat": _cat,
    "stack": _stack,
    "constant_pad_nd": _pad,
    **dict.fromkeys(("index", "_unsafe_index"), _index),
    "index_select": _index_select,
    "pixel_shuffle": _pixel_shuffle,
    "pixel_unshuffle": _pixel_unshuffle,
    "glu": _glu,
    **dict.fromkeys(("roll", "flip"), _rolled),
    **dict.fromkeys(("as_strided", "as_strided_"), _strided),
}
