"""Channel groups: everything in a network that must grow or shrink together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from nasplug.contract.errors import SurgeryError, did_you_mean
from nasplug.contract.io import Inputs
from nasplug.surgery.follow import traced
from nasplug.surgery.labels import Labels, Role
from nasplug.surgery.modules import Dropped
from nasplug.surgery.partners import partners
from nasplug.surgery.state import state_of
from nasplug.surgery.trace import Trace


@dataclass(frozen=True, eq=False)
class Member:
    """One axis of a weight or buffer that holds the channels of a group.

    Attributes:
        tensor: Name of the weight or buffer.
        axis: Axis of it.
        role: Part of the weight in their life: it makes them (`out`), reads them (`in`), or works on each (`along`).
        places: Indices along the axis, one row a channel: (channels, indices of one channel).
    """

    tensor: str
    axis: int
    role: Role
    places: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ChannelGroup:
    """Channels that the same weights make, scale and read.

    A channel of a group is one feature map, one hidden neuron, one attention head, or one group of a grouped
    convolution: the smallest part that can be removed alone.

    Attributes:
        name: Path of the first module that makes the channels.
        size: Number of channels.
        members: All axes that hold them, in the order of use.
        fixed: Reason why the number of channels cannot change, or None.
        inexact_removal: Reason why removing silent channels changes what the network computes, or None.
        inexact_split: Reason why splitting channels does, or None.
        partners: Names of the groups that code takes as pieces of the same size, such as the halves of `x.chunk(2, 1)`:
            they must change by the same number of channels in the same edit.
    """

    name: str
    size: int
    members: tuple[Member, ...]
    fixed: str | None = None
    inexact_removal: str | None = None
    inexact_split: str | None = None
    partners: tuple[str, ...] = ()

    @property
    def maker(self) -> Member:
        """The first axis that makes the channels."""
        return next((each for each in self.members if each.role == "out"), self.members[0])


@dataclass(eq=False)
class Channels:
    """All channel groups of a network, as one pass without numbers shows them.

    Attributes:
        inputs: Inputs that the network was followed on.
        groups: Groups by name, in the order in which the network makes them, those of fixed size too.
        trace: Trace of the pass.
        twin: Copy of the network without numbers.
        channels: Channel of every label.
        inexact: Reason by name of groups whose size the code computes with.
    """

    inputs: Inputs
    groups: dict[str, ChannelGroup]
    trace: Trace = field(repr=False)
    twin: nn.Module = field(repr=False)
    channels: Labels = field(repr=False)
    inexact: Mapping[str, str] = field(default_factory=dict, repr=False)

    def refusing(self, refused: Mapping[str, str], inexact: Mapping[str, str]) -> Channels:
        """Returns the same with more flaws.

        Args:
            refused: Reason by name of groups whose size cannot change.
            inexact: Reason by name of groups whose size the code computes with.
        """
        groups = {
            name: replace(
                group,
                fixed=group.fixed or refused.get(name),
                inexact_removal=group.inexact_removal or inexact.get(name),
                inexact_split=group.inexact_split or inexact.get(name),
            )
            for name, group in self.groups.items()
        }
        return replace(self, groups=groups, inexact=dict(inexact))

    @classmethod
    def of_twin(cls, twin: nn.Module, inputs: Inputs) -> Channels:
        """Follows the channels of a network.

        Args:
            twin: Network on the meta device.
            inputs: Inputs of the network.

        Raises:
            SurgeryError: The network does not run without numbers.
        """
        trace = traced(twin, inputs)
        channels = trace.book.channels()
        return cls(inputs, _groups(trace, channels, twin), trace, twin, channels)

    def __iter__(self) -> Iterator[ChannelGroup]:
        return (group for group in self.groups.values() if group.fixed is None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, name: str) -> ChannelGroup:
        """The group of a name.

        Raises:
            SurgeryError: There is no group of that name, or its size is fixed.
        """
        group = self.groups.get(name)
        if group is None:
            raise SurgeryError(
                f"there is no channel group {name!r}", where="surgery", fix=did_you_mean(name, self.groups)
            )
        if group.fixed is not None:
            raise SurgeryError(f"the number of channels of {name!r} cannot change", where="surgery", why=group.fixed)
        return group

    @property
    def sizes(self) -> dict[str, int]:
        """Number of channels of every group whose size can change."""
        return {group.name: group.size for group in self}

    @property
    def droppable(self) -> tuple[str, ...]:
        """Paths of the modules that return the shape that they are given, as `Surgery.drop` needs it."""
        modules = self.twin.named_modules()
        return tuple(
            name
            for name, module in modules
            if name and not isinstance(module, Dropped) and self.trace.reshapes(name) is None
        )

    @property
    def refused(self) -> dict[str, str]:
        """Reason by name of every group whose size cannot change."""
        return {group.name: group.fixed for group in self.groups.values() if group.fixed is not None}


def _groups(trace: Trace, channels: Labels, network: nn.Module) -> dict[str, ChannelGroup]:
    flaws = trace.book.flaws(channels)
    keys = list(trace.roles)
    order = {name: index for index, name in enumerate(trace.state)}
    keys.sort(key=lambda key: (order[key[0]], key[1]))
    if not keys:
        return {}
    labels = [trace.state[name][axis] for name, axis in keys]
    owner = np.concatenate([np.full(len(each), index) for index, each in enumerate(labels) if each is not None])
    place = np.concatenate([np.arange(len(each)) for each in labels if each is not None])
    channel = channels[np.concatenate([each for each in labels if each is not None])]
    # A group has as many indices along the same axes and in the same slices: equal sums of random numbers.
    draws = np.random.default_rng(0)
    weights = draws.integers(1, 2**62, len(keys), dtype=np.uint64)
    sums = np.zeros(int(channels.max()) + 1, np.uint64)
    np.add.at(sums, channel, weights[owner])
    for part in trace.parts:  # what code takes by its position is a group of its own
        np.add.at(sums, channels[part], draws.integers(1, 2**62, dtype=np.uint64))
    sort = np.lexsort((place, channel, owner, sums[channel]))
    owner, place, channel = owner[sort], place[sort], channel[sort]
    groups: list[tuple[int, int, str, tuple[Member, ...], Labels]] = []
    bounds = np.flatnonzero(np.diff(sums[channel])) + 1
    for chunk in np.split(np.arange(len(channel)), bounds):
        members = []
        for rows in np.split(chunk, np.flatnonzero(np.diff(owner[chunk])) + 1):
            name, axis = keys[owner[rows[0]]]
            found = np.unique(channel[rows])
            members.append((name, axis, trace.roles[name, axis], place[rows].reshape(len(found), -1)))
        made = next((member for member in members if member[2] == "out"), None)
        made = made or next((member for member in members if member[2] == "along"), None)
        if made is None:
            continue  # read only: inputs of the network
        first = made[3].min(axis=1)
        ranks = np.argsort(first)
        axes = tuple(Member(name, axis, role, places[ranks]) for name, axis, role, places in members)
        groups.append((order[made[0]], int(first.min()), made[0], axes, found))
    named: dict[str, ChannelGroup] = {}
    names: dict[int, str] = {}
    for _, _, tensor, members_, found in sorted(groups, key=lambda group: group[:2]):
        base = tensor.rpartition(".")[0] if tensor.endswith(".weight") else tensor
        name, count = base or tensor, 1
        while name in named:
            count += 1
            name = f"{base}#{count}"
        reasons = [next((why[each] for each in found.tolist() if each in why), None) for why in flaws.values()]
        if reasons[0] is None and all(member.role != "in" for member in members_):
            reasons[0] = "no weight reads the channels"
        if reasons[0] is not None and all(member.role != "out" for member in members_):
            continue  # positions of a table or a mask, not channels
        fixed, removal, split = reasons
        named[name] = ChannelGroup(name, len(found), members_, fixed, removal, split)
        names.update(dict.fromkeys(found.tolist(), name))
    for name, others in partners(trace.pieces, channels, names).items():
        named[name] = replace(named[name], partners=others)
    return named


def tensors_of(network: nn.Module) -> Mapping[str, Tensor]:
    """Weights and buffers of a network by the names that members use."""
    return state_of(network)
