"""Which indices of which weights belong to a channel of the original network, and what is left of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from torch import nn

from nasplug.surgery import ChannelGroup, Channels
from nasplug.surgery.state import state_of

#: Beginnings of the names of choices: the width of a channel group, and whether a block stays.
WIDTH, BLOCK = "width:", "block:"
#: Indices of the original network that are left, ascending.
Kept: TypeAlias = npt.NDArray[np.int64]
#: Kept indices by tensor and axis; axes that are not there are whole.
AxisIndices: TypeAlias = dict[str, dict[int, Kept]]


@dataclass(frozen=True)
class Layout:
    """The weights of a network by the channel groups that they belong to.

    Attributes:
        groups: Channel groups whose widths are decided, by name.
        shapes: Shape of every weight and buffer, by name.
        parameters: Names of those that are parameters.
    """

    groups: Mapping[str, ChannelGroup]
    shapes: Mapping[str, tuple[int, ...]]
    parameters: frozenset[str]

    @classmethod
    def of(cls, network: nn.Module, channels: Channels, names: Sequence[str]) -> Layout:
        """Reads the layout of a network.

        Args:
            network: The original network.
            channels: Channels of it.
            names: Groups whose widths are decided.
        """
        return cls(
            {name: channels.groups[name] for name in names},
            {name: tuple(tensor.shape) for name, tensor in state_of(network).items()},
            frozenset(name for name, _ in network.named_parameters()),
        )

    def indices(self, kept: Mapping[str, Kept]) -> AxisIndices:
        """Returns which indices of every weight and buffer are left.

        Args:
            kept: Kept channels by group; groups that are not there are whole.
        """
        gone: dict[tuple[str, int], list[npt.NDArray[np.int64]]] = {}
        for name, channels in kept.items():
            group = self.groups[name]
            out = np.setdiff1d(np.arange(group.size), channels)
            for member in group.members:
                gone.setdefault((member.tensor, member.axis), []).append(member.places[out].reshape(-1))
        found: AxisIndices = {}
        for (tensor, axis), places in gone.items():
            size = self.shapes[tensor][axis]
            found.setdefault(tensor, {})[axis] = np.setdiff1d(np.arange(size), np.concatenate(places))
        return found

    def params(
        self,
        widths: Mapping[str, int],
        dropped: Sequence[str] = (),
        kernels: Mapping[str, int] | None = None,
        separable: Sequence[str] = (),
    ) -> int:
        """Counts the parameters of a reduced network, without making it.

        Args:
            widths: Number of kept channels by group.
            dropped: Paths of blocks that are taken out.
            kernels: Largest sides of cropped kernels, by path of the convolution.
            separable: Paths of the convolutions that depthwise-separable pairs stand for.
        """
        crops = {f"{path}.weight": side for path, side in (kernels or {}).items()}
        pairs = {f"{path}.weight" for path in separable}
        lost: dict[tuple[str, int], int] = {}
        for name, width in widths.items():
            group = self.groups[name]
            for member in group.members:
                key = (member.tensor, member.axis)
                lost[key] = lost.get(key, 0) + (group.size - width) * member.places.shape[1]
        total = 0
        for tensor in self.parameters:
            if not inside(tensor, dropped):
                sizes = [size - lost.get((tensor, axis), 0) for axis, size in enumerate(self.shapes[tensor])]
                if tensor in crops:
                    sizes = [*sizes[:2], *(min(size, crops[tensor]) for size in sizes[2:])]
                if tensor in pairs:
                    outputs, inputs, *places = sizes
                    total += inputs * (int(np.prod(places, dtype=np.int64)) + outputs)
                else:
                    total += int(np.prod(sizes, dtype=np.int64))
        return total

    def within(self, block: str) -> tuple[str, ...]:
        """Groups whose channels live inside of one block alone."""
        return tuple(
            name
            for name, group in self.groups.items()
            if all(inside(member.tensor, (block,)) for member in group.members)
        )


def inside(tensor: str, paths: Sequence[str]) -> bool:
    """Whether a tensor belongs to one of several modules."""
    return any(tensor.startswith(f"{path}.") for path in paths)


def options(size: int, each: int, levels: int, least: int, round_to: int) -> tuple[int, ...]:
    """Widths that a group may have, ascending, the original one last.

    Args:
        size: Number of channels of the original network.
        each: Number of indices of one channel, more than 1 for an attention head or a group of a convolution.
        levels: Number of equal steps between nothing and the original width.
        least: Smallest number of indices that stay.
        round_to: Number that widths are multiples of, the original one excepted.
    """
    # One head, or one group of a convolution, does not show surgery which axis holds it.
    smallest = min(size, max(1 if each == 1 else 2, -(-least // each)))
    found = {size}
    for level in range(1, levels):
        width = max(smallest, round(size * level / levels))
        width = -(-width // round_to) * round_to
        if width < size:
            found.add(width)
    return tuple(sorted(found))
