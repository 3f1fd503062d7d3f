"""A copy of a network that has shapes and no numbers."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


def meta_copy(network: nn.Module) -> nn.Module:
    """Copies a network with every tensor replaced by one on the meta device, which holds a shape and no memory.

    The original is not touched, weights are not copied, and shared weights stay shared.

    Args:
        network: Network, on any device.
    """
    # deepcopy takes what stands in its memo as the copy: the weights are exchanged before it meets them.
    memo: dict[int, object] = {}
    for module in network.modules():
        for tensor in (
            *module.parameters(recurse=False),
            *module.buffers(recurse=False),
            # Plain tensors kept as attributes, and those inside lists and dictionaries of a module.
            *(value for value in _values(vars(module)) if isinstance(value, Tensor)),
        ):
            if id(tensor) not in memo:
                memo[id(tensor)] = _meta(tensor)
    copied: nn.Module = copy.deepcopy(network, memo)
    return copied


def _meta(tensor: Tensor) -> Tensor:
    empty = torch.empty_like(tensor, device="meta", requires_grad=False)
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(empty, requires_grad=tensor.requires_grad)
    return empty


def _values(attributes: dict[str, object]) -> list[object]:
    values: list[object] = []
    for value in attributes.values():
        if isinstance(value, (list, tuple)):
            values.extend(value)
        elif isinstance(value, dict):
            values.extend(value.values())
        else:
            values.append(value)
    return values
