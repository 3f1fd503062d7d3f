"""Edits made without numbers first: what does not lead to the network that it should is refused."""

from __future__ import annotations

import copy
from dataclasses import replace

from torch import nn

from nasplug.contract.errors import SurgeryError
from nasplug.contract.io import Inputs, InputsLike
from nasplug.cost.meta import meta_copy
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
    return channels.refusing(_refused(channels, list(channels.sizes)))


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
    where = f"surgery, {wanted.edit.do} in {', '.join(wanted.edit.groups):.200}"
    fix = "edit other groups; a module that keeps a number of channels must keep it as an attribute of its own"
    try:
        after = Channels.of_twin(channels.twin, channels.inputs)
    except SurgeryError as error:
        raise SurgeryError("the network does not run after the edit", where=where, why=error.why, fix=fix) from error
    expected = wanted.plan.sizes
    found = {name: group.size for name, group in after.groups.items()}
    if found != expected:
        wrong = next(name for name in {**expected, **found} if expected.get(name) != found.get(name))
        raise SurgeryError(
            "the edit leads to another network than it should",
            where=where,
            why=f"{wrong!r} has {found.get(wrong)} channels and should have {expected.get(wrong)}",
            fix=fix,
        )
    return after.refusing(channels.refused)


def _refused(channels: Channels, names: list[str]) -> dict[str, str]:
    """Splits the first channel of all groups at once; where that fails, of each half of them."""
    if not names:
        return {}
    trial = Edit("split", dict.fromkeys(names, (0,)), inexact=True)
    try:
        rehearsed(replace(channels, twin=copy.deepcopy(channels.twin)), changes(channels, trial))
    except SurgeryError as error:
        if len(names) == 1:
            return {names[0]: f"its size is written in code: {error.why or error.what}"}
        half = len(names) // 2
        return {**_refused(channels, names[:half]), **_refused(channels, names[half:])}
    return {}
