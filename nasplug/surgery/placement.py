"""Shortcuts that put silent channels among others, such as the zero-padded ones of the first residual networks."""

from __future__ import annotations

import numpy as np
from torch import nn

from nasplug.contract.errors import SurgeryError
from nasplug.surgery.groups import Channels
from nasplug.surgery.modules import PlacedChannels
from nasplug.surgery.plans import Indices, Plan
from nasplug.surgery.trace import Padded


def placements(channels: Channels, plan: Plan) -> dict[str, tuple[int, Indices]]:
    """Works out where modules that pad channels must put them after an edit.

    Returns:
        Number of channels that are padded at the front, and the source of every channel (-1 where it is silent), by
        path of the module.

    Raises:
        SurgeryError: The padding is done by code that does more than pad.
    """
    found: dict[str, tuple[int, Indices]] = {}
    modules = dict(channels.twin.named_modules())
    for pad in channels.trace.pads:
        before, after = channels.channels[pad.before], channels.channels[pad.after]
        if plan.keeps(before) and plan.keeps(after):
            continue
        module = modules[pad.module]
        if not isinstance(module, PlacedChannels):
            _check(pad, module, channels)
        low = module.low if isinstance(module, PlacedChannels) else _low(pad)
        found[pad.module] = low, _sources(pad, before, after, plan)
    return found


def place(network: nn.Module, module: str, low: int, sources: Indices) -> None:
    """Replaces a module that pads channels by one that puts them where they belong now."""
    old = network.get_submodule(module)
    inner = old.inner if isinstance(old, PlacedChannels) else old
    parent, _, name = module.rpartition(".")
    placed = PlacedChannels(inner, low, sources.tolist())
    for parameter in network.parameters():
        placed.to(parameter.device)
        break
    setattr(network.get_submodule(parent), name, placed.train(old.training))


def _low(pad: Padded) -> int:
    return int(np.flatnonzero(pad.after == pad.before[0])[0])


def _check(pad: Padded, module: nn.Module, channels: Channels) -> None:
    plain = {"aten.slice", "aten.constant_pad_nd", "aten.avg_pool2d", "aten.avg_pool3d", "aten.alias"}
    others = [name for name in channels.trace.operators[pad.module] if name.rpartition(".")[0] not in plain]
    if others or not pad.module or any(True for _ in module.parameters()):
        raise SurgeryError(
            "channels cannot change where code pads them",
            where=f"surgery, {pad.module or 'the network'} ({type(module).__name__})",
            why="the number of padded channels is written in code that does more than pad",
            fix="put the padding into a module of its own, which takes one tensor and returns it padded",
        )


def _sources(pad: Padded, before: Indices, after: Indices, plan: Plan) -> Indices:
    """The channel that every padded one comes from; those of one origin keep their order."""
    place = {label: index for index, label in enumerate(pad.before.tolist())}
    origin = [place.get(label, -1) for label in pad.after.tolist()]
    left: dict[int, list[int]] = {}
    for index, old in enumerate(plan.take(before)[0].tolist()):
        left.setdefault(old, []).append(index)
    sources = [left[origin[old]].pop(0) if origin[old] >= 0 else -1 for old in plan.take(after)[0].tolist()]
    return np.array(sources, np.int64)
