"""Edits made without numbers first: what does not lead to the network that it should is refused."""

from __future__ import annotations

import copy
from dataclasses import replace

from torch import nn

from nasplug.contract.errors import SurgeryError
from nasplug.contract.io import Inputs, InputsLike
from nasplug.cost.meta import meta_copy
from nasplug.surgery.agreement import disagreement, numbers_follow
from nasplug.surgery.changes import Changes, changes, make
from nasplug.surgery.groups import Channels
from nasplug.surgery.records import Edit


def channels_of(network: nn.Module, inputs: InputsLike) -> Channels:
    """Follows the channels of a network, and tries whether the number of channels of each group can change.

    Args:
        network: Network on any device, not touched.
        inputs: Inputs of the network, or the shape of one without the batch, such as (3, 224, 224).

    Raises:
        SurgeryError: The network does not run without numbers.
    """
    channels = Channels.of_twin(meta_copy(network), Inputs.of(inputs))
    refused, inexact = _tried(channels, list(channels.sizes))
    return channels.refusing(refused, inexact)


def rehearsed(channels: Channels, wanted: Changes) -> Channels:
    """Makes an edit on the copy without numbers, follows it again, and checks that the result is what was planned.

    Args:
        channels: Channels before; their copy of the network is changed.
        wanted: Changes of the edit.

    Returns:
        Channels afterwards.

    Raises:
        SurgeryError: The network does not run afterwards, or has other channels than it should.
    """
    make(channels.twin, wanted)
    where = f"surgery, {wanted.edit.do} in {', '.join((*wanted.edit.groups, *wanted.dropped)):.200}"
    fix = _unequal(channels, wanted) or (
        "edit other groups, or let the code take numbers of channels from its tensors, as in `x.shape[1]`"
    )
    try:
        after = Channels.of_twin(channels.twin, channels.inputs)
    except SurgeryError as error:
        raise SurgeryError("the network does not run after the edit", where=where, why=error.why, fix=fix) from error
    if wanted.dropped:
        if after.trace.outputs != channels.trace.outputs:
            raise SurgeryError("the network returns other shapes after the edit", where=where, fix="drop other modules")
        return after
    expected = wanted.plan.sizes
    found = {name: group.size for name, group in after.groups.items()}
    if found != expected:
        wrong = next(name for name in {**expected, **found} if expected.get(name) != found.get(name))
        if expected.get(wrong) == 1:
            fix = "keep two channels or more: one head, or one group, does not show which axis holds it"
        why: str | None = f"{wrong!r} has {found.get(wrong)} channels and should have {expected.get(wrong)}"
    else:
        why = disagreement(channels, after, wanted.plan, wanted.placements)
    if why is not None:
        raise SurgeryError("the edit leads to another network than it should", where=where, why=why, fix=fix)
    if wanted.edit.keeps and not wanted.edit.inexact:
        place = numbers_follow(channels, after, wanted.placements)
        if place is not None:
            raise SurgeryError(
                f"{wanted.edit.do} would change what the network computes",
                where=where,
                why=_NUMBER.format(place),
                fix="leave the groups as they are, or say inexact=True and train on",
            )
    return after.refusing(channels.refused, channels.inexact)


def _unequal(channels: Channels, wanted: Changes) -> str | None:
    """What to do where groups that code takes as equal pieces would differ in size."""
    sizes = wanted.plan.sizes
    for name in wanted.edit.groups:
        other = next((each for each in channels.groups[name].partners if sizes[each] != sizes[name]), None)
        if other is not None:
            return f"change {name!r} and {other!r} by the same number: code takes them as equal pieces of one tensor"
    return None


_NUMBER = "{} computes with a number that follows from the number of channels"


def _tried(channels: Channels, names: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Splits the first channel of all groups at once; where that fails, of each half of them.

    Returns:
        Reasons by group why its size cannot change, and why changing it changes what the network computes.
    """
    if not names:
        return {}, {}
    trial = Edit("split", dict.fromkeys(names, (0,)), inexact=True)
    try:
        wanted = changes(channels, trial)
        after = rehearsed(replace(channels, twin=copy.deepcopy(channels.twin)), wanted)
        place = numbers_follow(channels, after, wanted.placements)
    except SurgeryError as error:
        if len(names) == 1:
            return {names[0]: f"its size is written in code: {error.why or error.what}"}, {}
    else:
        if place is None:
            return {}, {}
        if len(names) == 1:
            return {}, {names[0]: _NUMBER.format(place)}
    half = len(names) // 2
    (one, bent), (other, more) = _tried(channels, names[:half]), _tried(channels, names[half:])
    return {**one, **other}, {**bent, **more}
