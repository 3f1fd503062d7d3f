"""Layers that follow: their input has another shape now, and they are given new weights for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from nasplug.contract.jsondata import Json
from nasplug_ablation.network.trace import Shape

#: What a layer is given: names of attributes and their new values.
Sizes = Mapping[str, Json]


def new_sizes(module: nn.Module, shape: Shape, before: Shape | None) -> dict[str, Json]:
    """Returns what must change for a layer to take an input; empty if it can take it or is not a layer with a size.

    Args:
        module: Layer.
        shape: Shape of its input now, (N, ...).
        before: Shape of its input in the whole network.

    Raises:
        ValueError: The layer divides its channels into groups, which do not go up in the new number.
    """
    if isinstance(module, nn.Linear) and shape[-1] != module.in_features:
        return {"in_features": shape[-1]}
    if isinstance(module, _ConvNd):
        channels = shape[1]
        if channels == module.in_channels:
            return {}
        if module.groups == module.in_channels == module.out_channels:  # depthwise: as many as there are
            return {"in_channels": channels, "out_channels": channels, "groups": channels}
        if channels % module.groups:
            raise ValueError(f"channels do not divide into groups: {channels} by {module.groups}")
        return {"in_channels": channels}
    if isinstance(module, _NormBase) and shape[1] != module.num_features:
        return {"num_features": shape[1]}
    if isinstance(module, nn.GroupNorm) and shape[1] != module.num_channels:
        if shape[1] % module.num_groups:
            raise ValueError(f"channels do not divide into groups: {shape[1]} by {module.num_groups}")
        return {"num_channels": shape[1]}
    if isinstance(module, nn.LayerNorm) and len(module.normalized_shape) == 1:
        axis = 1 if before is not None and before[-1] != module.normalized_shape[0] else -1
        if shape[axis] != module.normalized_shape[0]:
            return {"normalized_shape": [shape[axis]]}
    return {}


def resize(module: nn.Module, sizes: Sizes) -> None:
    """Gives a layer other sizes and new weights, in place; draws from the global generator as its constructor does.

    Args:
        module: Layer.
        sizes: Attributes and their new values, as `new_sizes` says them.

    Raises:
        ValueError: The weights are computed from others, such as by weight normalisation.
    """
    if nn.utils.parametrize.is_parametrized(module) or hasattr(module, "weight_g"):
        raise ValueError("its weights are computed from others")
    made: Any = module
    for name, value in sizes.items():
        setattr(made, name, tuple(value) if isinstance(value, list) else value)
    if isinstance(module, nn.Linear):
        _renew(made, "weight", (made.out_features, made.in_features))
    elif isinstance(module, _ConvNd):
        kernel = module.kernel_size
        first, second = made.out_channels, made.in_channels // made.groups
        if isinstance(module, _ConvTransposeNd):
            first, second = made.in_channels, made.out_channels // made.groups
        _renew(made, "weight", (first, second, *kernel))
        _renew(made, "bias", (made.out_channels,))
    else:
        size = tuple(made.normalized_shape) if isinstance(module, nn.LayerNorm) else (next(iter(sizes.values())),)
        for name in ("weight", "bias", "running_mean", "running_var"):
            _renew(made, name, size)
    made.reset_parameters()


def _renew(module: Any, name: str, shape: tuple[int, ...]) -> None:
    old: Tensor | None = getattr(module, name, None)
    if old is None:
        return
    fresh = torch.empty(shape, dtype=old.dtype, device=old.device)
    setattr(module, name, nn.Parameter(fresh, old.requires_grad) if isinstance(old, nn.Parameter) else fresh)


class Repairs:
    """Resizes layers while a step runs, just before they would fail.

    Args:
        known: Shape of the first input of every module in the whole network.
        allowed: Whether layers may be resized at all.

    Attributes:
        made: New sizes by path of the layer.
    """

    def __init__(self, known: Callable[[str], Shape | None], *, allowed: bool) -> None:
        self.known, self.allowed = known, allowed
        self.made: dict[str, dict[str, Json]] = {}

    def before(self, path: str, module: nn.Module, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
        """Looks at a module before it runs; see `watch`.

        Args:
            path: Path of the module.
            module: Module that is about to run.
            args: Arguments by position.
            kwargs: Arguments by name.
        """
        given = next((value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)), None)
        if not self.allowed or given is None or given.dim() < 2:
            return
        sizes = new_sizes(module, tuple(given.shape), self.known(path))
        if sizes:
            resize(module, sizes)
            self.made[path] = sizes
