"""Weights that pass between two networks that are left of the same one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from nasplug.surgery.state import state_of
from nasplug_reduction.layout import AxisIndices


@torch.no_grad()
def inherit(network: nn.Module, weights: Mapping[str, Tensor], own: AxisIndices, theirs: AxisIndices) -> None:
    """Copies the entries that two networks share; everything else stays as it is.

    Args:
        network: Network to fill, changed in place.
        weights: Tensors of the other network by name.
        own: Indices of the original network that `network` has left.
        theirs: Indices of the original network that the other one has left.
    """
    for name, tensor in state_of(network).items():
        source = weights.get(name)
        if source is None or source.ndim != tensor.ndim:
            continue
        axes = sorted({*own.get(name, {}), *theirs.get(name, {})})
        value = source.to(tensor)
        positions: list[tuple[int, Tensor]] = []
        for axis in axes:
            here = own.get(name, {}).get(axis)
            there = theirs.get(name, {}).get(axis)
            here = np.arange(tensor.shape[axis]) if here is None else here
            there = np.arange(source.shape[axis]) if there is None else there
            shared = np.intersect1d(here, there)
            positions.append((axis, torch.as_tensor(np.searchsorted(here, shared), device=tensor.device)))
            index = torch.as_tensor(np.searchsorted(there, shared), device=tensor.device)
            value = value.index_select(axis, index)
        _put(tensor, value, positions)


def _put(tensor: Tensor, value: Tensor, positions: list[tuple[int, Tensor]]) -> None:
    """Writes values at positions along several axes."""
    index: list[Tensor] = []
    chosen = dict(positions)
    for axis, size in enumerate(tensor.shape):
        along = chosen.get(axis, torch.arange(size, device=tensor.device))
        index.append(along.view(*[-1 if i == axis else 1 for i in range(tensor.ndim)]))
    if index:
        tensor[tuple(index)] = value
    else:
        tensor.copy_(value)
