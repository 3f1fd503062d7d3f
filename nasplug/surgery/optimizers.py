"""Optimizer state that follows its parameters."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from nasplug.contract.errors import SurgeryError
from nasplug.surgery.plans import AxisPlan
from nasplug.surgery.state import state_of
from nasplug.surgery.tensors import moved

#: State that divides steps; a new channel starts with that of the channel beside it, since zero would mean long steps.
_SCALES = ("sq", "square", "sum", "var", "inf")


def check_optimizer(optimizer: Optimizer, names: Sequence[str], network: nn.Module) -> None:
    """Refuses an optimizer whose state cannot follow.

    Args:
        optimizer: Optimizer.
        names: Names of the tensors that will change.
        network: Network before the edit.

    Raises:
        SurgeryError: It keeps something that has neither the shape of its parameter nor one element.
    """
    state = state_of(network)
    kind = type(optimizer).__name__
    if isinstance(optimizer, torch.optim.LBFGS):
        raise SurgeryError(
            "the state of LBFGS cannot follow", where="surgery", why="it is one vector of all weights", fix=_OTHERS
        )
    for name in names:
        tensor = state[name]
        for key, value in _state(optimizer, tensor).items():
            if isinstance(value, Tensor) and value.numel() != 1 and value.shape != tensor.shape:
                raise SurgeryError(
                    f"the state of {kind} cannot follow",
                    where=f"surgery, {name}",
                    why=f"{key!r} has shape {tuple(value.shape)} and its parameter {tuple(tensor.shape)}",
                    fix=_OTHERS,
                )


_OTHERS = "take an optimizer whose state has the shape of its parameters, such as SGD or Adam"


@torch.no_grad()
def follow(optimizer: Optimizer, changed: Mapping[Tensor, Sequence[AxisPlan]]) -> None:
    """Gives the state of parameters their new indices.

    Args:
        optimizer: Optimizer of the parameters.
        changed: New indices of every changed tensor.
    """
    for tensor, axes in changed.items():
        state = _state(optimizer, tensor)
        for key, value in state.items():
            if isinstance(value, Tensor) and value.numel() != 1:
                for axis in axes:
                    value = moved(value, axis, copied=any(part in key for part in _SCALES))
                state[key] = value


def forget(optimizer: Optimizer, gone: Collection[Tensor]) -> None:
    """Takes parameters out of an optimizer; its groups stay, even empty, since schedulers count them.

    Args:
        optimizer: Optimizer of a network.
        gone: Parameters that the network does not have any more.
    """
    known = {id(tensor) for tensor in gone}
    for group in optimizer.param_groups:
        group["params"][:] = [tensor for tensor in group["params"] if id(tensor) not in known]
    for tensor in gone:
        optimizer.state.pop(tensor, None)


def _state(optimizer: Optimizer, tensor: Tensor) -> dict[str, object]:
    """State of one parameter; nothing where it has none, without making one."""
    state: dict[str, object] = optimizer.state.get(tensor, {})
    return state
