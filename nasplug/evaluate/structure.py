"""The structure of a network, as far as its weights show it: which tensors there are, and of which shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import TaskError, TrialError
from nasplug.contract.wording import plural

if TYPE_CHECKING:
    from torch import nn


#: Shape of every tensor by name; None where the shape is not known yet, as in lazy modules.
Structure = Mapping[str, tuple[int, ...] | None]


def structure(state: nn.Module | Mapping[str, object]) -> Structure:
    """Returns the shape of every entry of a network's state.

    Args:
        state: A `torch.nn.Module`, or a mapping of its state by name.
    """
    items: Mapping[str, Any] = state if isinstance(state, Mapping) else state.state_dict()
    found: dict[str, tuple[int, ...] | None] = {}
    for name, value in items.items():
        try:
            found[name] = tuple(value.shape)
        except (AttributeError, RuntimeError):  # not a tensor, or one whose shape the first batch decides
            found[name] = None
    return found


def differences(before: Structure, after: Structure) -> list[str]:
    """Returns the names that only one of two structures has, or whose known shapes differ, in order.

    Args:
        before: Structure whose unknown shapes fit any shape.
        after: Structure to compare.
    """
    names = before.keys() ^ after.keys()
    for name in before.keys() & after.keys():
        shapes = before[name], after[name]
        if None not in shapes and shapes[0] != shapes[1]:
            names.add(name)
    return sorted(names)


def check_unchanged(before: Structure, after: Structure, where: str, *, edited: bool = False) -> None:
    """Refuses a network whose structure is not what its record says.

    Args:
        before: Structure that the record leads to.
        after: Structure of the trained network.
        where: Name of the trial.
        edited: Whether the trial recorded changes.

    Raises:
        TrialError: They differ.
    """
    changed = differences(before, after)
    if not changed:
        return
    first = changed[0]
    raise TrialError(
        "structure",
        "the recorded edits lead to another structure than the network has"
        if edited
        else "the network's structure changed while it trained, and its record does not say how",
        where=where,
        why=f"{first!r} {_shape(before, first)} by the record and {_shape(after, first)} after training "
        f"(names or shapes of {plural(len(changed), 'tensor')} differ)",
        fix="the plugin that changes the network calls run.edit(record) and repeats the record in its hook `edit`",
    )


def check_kept(before: Structure, after: Structure, where: str) -> None:
    """Refuses a module that makes another network of the candidate when it is made.

    Args:
        before: Structure of the candidate.
        after: Structure when the module has been made.
        where: Name of the task.

    Raises:
        TaskError: They differ.
    """
    changed = differences(before, after)
    if not changed:
        return
    raise TaskError(
        f"the module changes the layers of the candidate network when it is made: {changed[0]!r} "
        f"{_shape(before, changed[0])} before and {_shape(after, changed[0])} afterwards",
        where=where,
        why=f"{plural(len(changed), 'tensor')} would be trained that no architecture describes",
        fix="leave the network as it is and put layers of the module's own around it, such as "
        "self.head = nn.Linear(...), or build the whole network in the space's `build`",
    )


def _shape(found: Structure, name: str) -> str:
    return f"has shape {found[name]}" if name in found else "does not exist"
