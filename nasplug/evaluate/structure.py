"""The structure of a network, as far as its weights show it: which tensors there are, and of which shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nasplug.contract.errors import TrialError

Structure = Mapping[str, tuple[int, ...]]


def structure(network: Any) -> Structure:
    """Returns the shape of every tensor in a network's state; those of lazy modules are left out until they are known.

    Args:
        network: A `torch.nn.Module`.
    """
    found = {}
    for name, value in network.state_dict().items():
        try:
            found[name] = tuple(value.shape)
        except (AttributeError, RuntimeError):  # not a tensor, or one whose shape the first batch decides
            continue
    return found


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
    known = {name: shape for name, shape in after.items() if name in before or edited}
    changed = sorted(name for name in {*before, *known} if before.get(name) != after.get(name))
    if not changed:
        return
    first = changed[0]
    raise TrialError(
        "structure",
        "the network's structure changed while it trained, and its record does not say how",
        where=where,
        why=f"{first!r} has shape {before.get(first)} by the record and {after.get(first)} after training "
        f"({len(changed)} tensors differ)" + ("; the recorded edits lead elsewhere" if edited else ""),
        fix="the plugin that changes the network calls run.edit(record) and repeats the record in its hook `edit`",
    )
