"""Whole modules that are taken out, where what they return has the shape of what they were given."""

from __future__ import annotations

from torch import nn

from nasplug.contract.errors import SurgeryError, did_you_mean
from nasplug.surgery.groups import Channels
from nasplug.surgery.modules import Dropped
from nasplug.surgery.records import Edit, Fill


def dropped(channels: Channels, edit: Edit) -> tuple[str, ...]:
    """Checks which modules an edit drops.

    Args:
        channels: Channels of the network before the edit.
        edit: Edit that drops modules.

    Returns:
        Paths of the modules, as the trace has them.

    Raises:
        SurgeryError: A module does not exist, does not run, is named twice, or changes shapes.
    """
    names = {name: module for name, module in channels.twin.named_modules(remove_duplicate=False) if name}
    first = {module: name for name, module in reversed(names.items())}
    found: list[str] = []
    for name in edit.modules:
        if name not in names:
            raise SurgeryError(f"there is no module {name!r}", where="surgery, drop", fix=did_you_mean(name, names))
        where = f"surgery, {name} ({type(names[name]).__name__})"
        path = first[names[name]]
        inside = next((other for other in found if f"{path}.".startswith(f"{other}.")), None)
        inside = inside or next((other for other in found if other.startswith(f"{path}.")), None)
        if inside is not None:
            raise SurgeryError("a module is dropped twice", where=where, why=f"{inside!r} is dropped too")
        why = channels.trace.reshapes(path)
        if why is not None:
            raise SurgeryError(
                "the module cannot be dropped",
                where=where,
                why=why,
                fix="drop a module that maps a tensor to one of its shape, such as a residual block of stride 1",
            )
        found.append(path)
    return tuple(found)


def drop(network: nn.Module, path: str, fill: Fill) -> None:
    """Puts something that passes its input on, or zeros, in every place of a module.

    Args:
        network: Network to change.
        path: Path of the module.
        fill: Result in its place.
    """
    old = network.get_submodule(path)
    new = Dropped(fill).train(old.training)
    places = [name for name, module in network.named_modules(remove_duplicate=False) if module is old]
    for place in places:
        parent, _, name = place.rpartition(".")
        setattr(network.get_submodule(parent), name, new)
