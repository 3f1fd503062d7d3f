"""Whether a network that was edited and followed again has the channels that the edit should lead to."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from nasplug.surgery.groups import Channels
from nasplug.surgery.labels import Labels
from nasplug.surgery.plans import Plan
from nasplug.surgery.trace import Size


def disagreement(before: Channels, after: Channels, plan: Plan, placed: Collection[str]) -> str | None:
    """Compares every tie and every slice of channels after an edit with those before.

    Sizes alone would not show that code takes channels by numbers of its own: the first two of nine are as many as the
    first two of eight.

    Args:
        before: Channels before the edit.
        after: Channels of the edited network.
        plan: The edit.
        placed: Modules that pad channels and were exchanged.

    Returns:
        What does not agree, or None.
    """
    origin = _origins(before, after, plan)
    known = origin >= 0
    channel, source = after.channels[known], origin[known]
    for one, other in ((channel, source), (source, channel)):
        partner = np.full(int(one.max(initial=-1)) + 1, -1, np.int64)
        partner[one] = other
        if (partner[one] != other).any():
            return "code combines channels by their position, and other ones would meet"
    place = _mixed_up(before, after, plan, origin, placed)
    if place is None:
        return None
    return f"code of {place or 'the network'} takes channels by their position, and would take other ones"


def numbers_follow(before: Channels, after: Channels, placed: Collection[str]) -> str | None:
    """Path of the first module whose code computes with a number that is another one after an edit, or None."""
    skipped = {*placed, *(f"{name}.inner" for name in placed)}
    mine = [each for each in before.trace.numbers if each[0] not in skipped]
    theirs = [each for each in after.trace.numbers if each[0] not in skipped]
    for one, other in zip(mine, theirs, strict=False):
        if one != other:
            return f"{one[0] or 'the network'} ({type(before.twin.get_submodule(one[0])).__name__})"
    return None if len(mine) == len(theirs) else "the network"


def _origins(before: Channels, after: Channels, plan: Plan) -> Labels:
    """Number of the channel, and of the copy of it, that every label after the edit should belong to."""
    count = int(before.channels.max(initial=-1)) + 1
    origin = np.full(len(after.channels), -1, np.int64)
    takes = {(each.tensor, each.axis): each.take for each in plan.axes}
    for name, axes in after.trace.state.items():
        old = before.trace.state.get(name)
        for axis, labels in enumerate(axes):
            own = None if old is None else old[axis]
            if labels is None or own is None:
                continue
            take = takes.get((name, axis))
            if take is None:
                origin[labels] = before.channels[own]
            else:
                origin[labels] = before.channels[own[take]] + count * _rank(take)
    return origin


def _rank(take: Labels) -> Labels:
    """How often the value of every place stands before it."""
    sort = np.argsort(take, kind="stable")
    ordered = take[sort]
    rank = np.empty_like(take)
    rank[sort] = np.arange(len(take)) - np.searchsorted(ordered, ordered)
    return rank


def _mixed_up(before: Channels, after: Channels, plan: Plan, origin: Labels, placed: Collection[str]) -> str | None:
    skipped = {*placed, *(f"{name}.inner" for name in placed)}

    def seen(sizes: list[Size]) -> list[Size]:
        return [size for size in sizes if size.module not in skipped]

    count = int(before.channels.max(initial=-1)) + 1
    checked: set[tuple[int, int, int]] = set()
    for one, other in zip(seen(before.trace.sizes), seen(after.trace.sizes), strict=False):
        key = (id(one.labels), id(other.labels), len(other.labels))
        if key in checked:
            continue
        checked.add(key)
        wanted = before.channels[one.labels]
        reordered = bool((plan.order[wanted] != wanted).any())
        wanted = plan.order[wanted] if reordered else wanted[plan.take(wanted)[0]]
        found = origin[other.labels]
        if len(found) != len(wanted) or ((found % count != wanted) & (found >= 0)).any():
            return one.module
    return None
