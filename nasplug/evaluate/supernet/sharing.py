"""Which tensor of the shared weights each parameter of a network is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from nasplug.contract.errors import TrialError
from nasplug.contract.protocols import SharesWeights

if TYPE_CHECKING:
    from nasplug.contract.protocols import SearchSpace
    from nasplug.contract.records import Architecture


@dataclass(frozen=True)
class Place:
    """Where a parameter lies in the shared weights.

    Attributes:
        key: Name of the shared tensor.
        shape: Shape of the parameter.
        indices: Positions along an axis, by axis; the first ones along the others.
    """

    key: str
    shape: tuple[int, ...]
    indices: Mapping[int, Tensor]

    @property
    def needed(self) -> tuple[int, ...]:
        """Smallest shape of the shared tensor."""
        return tuple(
            int(self.indices[axis].max()) + 1 if axis in self.indices else size for axis, size in enumerate(self.shape)
        )

    def of(self, shared: Tensor) -> Tensor:
        """Returns the parameter: a view where it can be one, through which gradients flow."""
        for axis, size in enumerate(self.shape):
            if axis in self.indices:
                shared = shared.index_select(axis, self.indices[axis].to(shared.device))
            elif shared.shape[axis] != size:
                shared = shared.narrow(axis, 0, size)
        return shared

    def put(self, shared: Tensor, values: Tensor) -> None:
        """Writes the parameter into the shared tensor."""
        grid = [self.indices.get(axis, torch.arange(size)) for axis, size in enumerate(self.shape)]
        if not grid:
            shared.copy_(values)
            return
        shared[torch.meshgrid(*grid, indexing="ij")] = values


def places(space: SearchSpace, architecture: Architecture, network: nn.Module) -> dict[str, Place]:
    """Returns the place of every parameter of a network by its name.

    Parameters of one name, in layers of one class, all grouped or all not, and with kernels of one size, are one shared
    tensor; a narrower layer has its first channels. A space that knows better says it with `shared`.

    Args:
        space: Space of the network.
        architecture: Architecture of it.
        network: The network, with or without numbers.
    """
    said = _said(space, architecture, network)
    found = {}
    for name, owner, parameter in _parameters(network):
        other, axes = said.get(name, (name, {}))
        kernel = "x".join(map(str, parameter.shape[2:]))
        found[name] = Place(
            f"{other} {owner} {parameter.dim()} {kernel}".rstrip(),
            tuple(parameter.shape),
            {axis: torch.as_tensor(list(indices)) for axis, indices in axes.items()},
        )
    return found


def memories(space: SearchSpace, architecture: Architecture, network: nn.Module) -> dict[str, str]:
    """Returns the keys of the buffers that networks share whole, by their names in the network.

    These are the buffers that the space names: statistics of batch normalisations are measured anew instead.

    Args:
        space: Space of the network.
        architecture: Architecture of it.
        network: The network, with or without numbers.
    """
    said = _said(space, architecture, network)
    return {
        name: f"{said[name][0]} buffer {'x'.join(map(str, buffer.shape))}".rstrip()
        for name, buffer in network.named_buffers()
        if name in said
    }


def _said(space: SearchSpace, architecture: Architecture, network: nn.Module) -> Mapping[str, Any]:
    return space.shared(architecture, network) if isinstance(space, SharesWeights) else {}


def _parameters(network: nn.Module) -> Iterator[tuple[str, str, nn.Parameter]]:
    """Names of parameters, classes of the layers that hold them, and the parameters."""
    for path, module in network.named_modules():
        grouped = " grouped" if getattr(module, "groups", 1) != 1 else ""
        for name, parameter in module.named_parameters(recurse=False):
            yield f"{path}.{name}".lstrip("."), type(module).__name__ + grouped, parameter


@torch.no_grad()
def fill(network: nn.Module, where: Mapping[str, Place], shared: Mapping[str, Tensor]) -> None:
    """Gives a network its part of the shared weights.

    Args:
        network: The network, changed in place.
        where: Places of its parameters.
        shared: Shared tensors by key.

    Raises:
        TrialError: A layer was never trained, or not at this width.
    """
    own = dict(network.named_parameters())
    for name, place in where.items():
        if not covers(place, shared):
            known = sorted({key.split(" ")[0] for key in shared})
            raise TrialError(
                "shape",
                f"the supernet has no weights for {name!r} of shape {list(place.shape)}",
                where="evaluator 'supernet'",
                why="no network that it was trained with has such a layer"
                if name not in known
                else "it was trained with another kind or size of this layer: a plugin may change what the space "
                "builds, or the layer is rare",
                fix="leave out plugins under `build:`, or give the space a method `shared` that says which weights "
                "networks share",
            )
        own[name].copy_(place.of(shared[place.key]))


@torch.no_grad()
def remember(network: nn.Module, keys: Mapping[str, str], shared: Mapping[str, Tensor]) -> None:
    """Gives a network what its buffers shall remember; what no network has remembered yet stays as it is.

    Args:
        network: The network, changed in place.
        keys: Keys of its buffers by their names.
        shared: Shared tensors by key.
    """
    for name, key in keys.items():
        if key in shared:
            network.get_buffer(name).copy_(shared[key])


def covers(place: Place, shared: Mapping[str, Tensor]) -> bool:
    """Whether the shared weights hold all of a parameter."""
    whole = shared.get(place.key)
    return whole is not None and all(a >= b for a, b in zip(whole.shape, place.needed, strict=True))
