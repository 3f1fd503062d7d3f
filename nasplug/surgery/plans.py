"""What an edit does to every axis that holds channels, worked out before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from nasplug.contract.errors import SurgeryError
from nasplug.contract.wording import plural
from nasplug.surgery.groups import ChannelGroup, Channels
from nasplug.surgery.labels import Labels, Role
from nasplug.surgery.records import Edit

Indices: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class AxisPlan:
    """The new indices along one axis of a weight or buffer.

    Attributes:
        tensor: Name of the weight or buffer.
        axis: Axis of it.
        role: Part of it in the channels' life.
        take: Old index of every new one.
        copies: Whether a new index is a copy of one that stays: (len(take),).
        parents: Whether a new index has such copies.
        silent: Whether an index is set to zero.
    """

    tensor: str
    axis: int
    role: Role
    take: Indices
    copies: Mask
    parents: Mask
    silent: Mask


@dataclass(frozen=True, eq=False)
class Plan:
    """All that an edit does.

    Attributes:
        axes: New indices of every axis that changes.
        sizes: Number of channels afterwards, by group.
        factors: Number of times that every channel of the network is there afterwards: 0 if removed, 2 if split.
        order: The channel that takes the places of every one.
    """

    axes: tuple[AxisPlan, ...]
    sizes: Mapping[str, int]
    factors: Indices
    order: Indices

    def size(self, channels: Labels) -> int:
        """Size that an axis has afterwards.

        Args:
            channels: Channel of every index along it.
        """
        return int(self.factors[channels].sum())

    def keeps(self, channels: Labels) -> bool:
        """Whether nothing changes along an axis."""
        return bool((self.factors[channels] == 1).all() and (self.order[channels] == channels).all())

    def take(self, channels: Labels) -> tuple[Indices, Mask]:
        """Returns the old index of every new index along an axis, and which of them are copies.

        Copies of a channel follow its last index of a run: where one channel has several places along an axis, each of
        them gets its copies beside it.

        Args:
            channels: Channel of every index along the axis.
        """
        wanted = self.order[channels]
        if (wanted != channels).any():  # the places of a channel are handed to another one, in their order
            sort = np.argsort(channels, kind="stable")
            ordered = channels[sort]
            rank = np.empty(len(channels), np.int64)
            rank[sort] = np.arange(len(channels)) - np.searchsorted(ordered, ordered)
            return sort[np.searchsorted(ordered, wanted) + rank], np.zeros(len(channels), bool)
        starts = np.flatnonzero(np.r_[True, channels[1:] != channels[:-1]])
        lengths = np.diff(np.r_[starts, len(channels)])
        runs = np.repeat(np.arange(len(starts)), self.factors[channels[starts]])
        first = np.r_[True, runs[1:] != runs[:-1]] if len(runs) else np.zeros(0, bool)
        each = lengths[runs]
        offsets = np.arange(each.sum()) - np.repeat(np.cumsum(each) - each, each)
        return np.repeat(starts[runs], each) + offsets, np.repeat(~first, each)


def plan(channels: Channels, edit: Edit) -> Plan:
    """Works out an edit.

    Raises:
        SurgeryError: A group or channel does not exist, a group would lose all of its channels, or silent channels
            cannot be added without changing what the network computes.
    """
    factors = np.ones(int(channels.channels.max(initial=-1)) + 1, np.int64)
    silent = np.zeros(len(factors), bool)
    order = np.arange(len(factors))
    sizes = {group.name: group.size for group in channels.groups.values()}
    changed: set[tuple[str, int]] = set()
    for name, asked in edit.groups.items():
        group = channels[name]
        numbers = _numbers(channels, group)
        units = _units(group, asked, edit)
        _refuse_inexact(group, edit)
        if edit.do == "remove":
            factors[numbers[units]] = 0
        elif edit.do == "mask":
            silent[numbers[units]] = True
        elif edit.do == "reorder":
            order[numbers] = numbers[units]
        else:
            unique, counts = np.unique(units, return_counts=True)
            factors[numbers[unique]] += counts
        sizes[name] = int(factors[numbers].sum())
        changed |= {(member.tensor, member.axis) for member in group.members}
    whole = Plan((), sizes, factors, order)
    axes = []
    for (name, axis), role in channels.trace.roles.items():
        labels = channels.trace.state[name][axis]
        if (name, axis) in changed and labels is not None:
            channel = channels.channels[labels]
            take, copies = whole.take(channel)
            parents = (factors[channel] > 1)[take] & ~copies
            axes.append(AxisPlan(name, axis, role, take, copies, parents, silent[channel][take]))
    return replace(whole, axes=tuple(axes))


def _numbers(channels: Channels, group: ChannelGroup) -> Indices:
    maker = group.maker
    labels = channels.trace.state[maker.tensor][maker.axis]
    assert labels is not None
    return channels.channels[labels[maker.places[:, 0]]]


def _units(group: ChannelGroup, asked: int | Sequence[int], edit: Edit) -> Indices:
    where = f"surgery, {group.name}"
    if isinstance(asked, int):
        if edit.do != "grow":
            raise SurgeryError(f"{edit.do} takes a list of channels, not the number {asked}", where=where)
        if asked < 1:
            raise SurgeryError(f"a group grows by 1 channel or more, not by {asked}", where=where)
        return np.full(asked, group.size - 1, np.int64)
    units = np.asarray(asked, np.int64).reshape(-1)
    outside = units[(units < 0) | (units >= group.size)]
    if outside.size:
        raise SurgeryError(
            f"there is no channel {outside[0]}",
            where=where,
            why=f"the group has {plural(group.size, 'channel')}, numbered from 0",
        )
    if edit.do in ("remove", "mask", "split") and len(set(units.tolist())) < len(units):
        raise SurgeryError("a channel is named twice", where=where)
    if edit.do == "remove" and len(units) >= group.size:
        raise SurgeryError(
            f"the whole group would be removed, {plural(group.size, 'channel')}",
            where=where,
            fix="keep one channel or more",
        )
    if edit.do == "reorder" and sorted(units.tolist()) != list(range(group.size)):
        raise SurgeryError(f"an order names each channel once, and the group has {group.size}", where=where)
    return units


def _refuse_inexact(group: ChannelGroup, edit: Edit) -> None:
    why = {"split": group.inexact_split, "grow": group.inexact_removal, "remove": group.inexact_removal}.get(edit.do)
    if edit.keeps and why is not None and not edit.inexact:
        raise SurgeryError(
            f"{edit.do} would change what the network computes",
            where=f"surgery, {group.name}",
            why=why,
            fix="leave the group as it is, or say inexact=True and train on",
        )
