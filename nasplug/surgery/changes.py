"""Everything that an edit changes in a network: tensors, attributes, padding modules, whole modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from nasplug.surgery.attributes import attributes, set_attributes
from nasplug.surgery.dropping import drop, dropped
from nasplug.surgery.groups import Channels
from nasplug.surgery.placement import place, placements
from nasplug.surgery.plans import AxisPlan, Indices, Plan, plan
from nasplug.surgery.records import Edit
from nasplug.surgery.tensors import change


@dataclass(frozen=True, eq=False)
class Changes:
    """What an edit changes.

    Attributes:
        edit: The edit.
        plan: New indices of every axis.
        attributes: New values by module and attribute.
        placements: Channels padded at the front and source of every channel, by module that pads.
        dropped: Paths of the modules that are taken out.
    """

    edit: Edit
    plan: Plan
    attributes: Mapping[str, Mapping[str, int]]
    placements: Mapping[str, tuple[int, Indices]]
    dropped: tuple[str, ...] = ()

    @property
    def tensors(self) -> tuple[str, ...]:
        """Names of the weights and buffers that change."""
        return tuple(sorted({axis.tensor for axis in self.plan.axes}))


def changes(channels: Channels, edit: Edit) -> Changes:
    """Works out what an edit changes.

    Raises:
        SurgeryError: It cannot be made.
    """
    done = plan(channels, edit)
    return Changes(edit, done, attributes(channels, done), placements(channels, done), dropped(channels, edit))


def make(network: nn.Module, wanted: Changes) -> dict[Tensor, Sequence[AxisPlan]]:
    """Changes a network in place.

    Returns:
        What happened to every changed tensor.
    """
    changed = change(network, wanted.plan, wanted.edit)
    set_attributes(network, wanted.attributes, wanted.tensors)
    for module, (low, sources) in wanted.placements.items():
        place(network, module, low, sources)
    for module in wanted.dropped:
        drop(network, module, wanted.edit.fill)
    return changed
