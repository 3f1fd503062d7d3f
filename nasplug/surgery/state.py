"""Tensors of networks and of what they return."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor, nn


def state_of(network: nn.Module) -> dict[str, Tensor]:
    """Weights and buffers by name, those that are shared once, under their first name."""
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def tensors_in(value: object) -> Iterator[Tensor]:
    """All tensors in nested lists, tuples and mappings, and in the fields of records such as model outputs."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors_in(item)
    elif hasattr(value, "__dict__"):
        yield from tensors_in(list(vars(value).values()))
