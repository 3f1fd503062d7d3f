"""Weights, buffers and gradients after an edit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nasplug.surgery.plans import AxisPlan, Mask, Plan
from nasplug.surgery.records import Edit
from nasplug.surgery.state import state_of

#: Values of new channels in normalisations: what they have before training.
_FRESH = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}


@torch.no_grad()
def change(network: nn.Module, plan: Plan, edit: Edit) -> dict[Tensor, Sequence[AxisPlan]]:
    """Changes the tensors of a network in place; parameters stay the objects that they are.

    Args:
        network: Network to change.
        plan: Changes of every axis.
        edit: Edit that they belong to.

    Returns:
        What happened to every changed tensor.
    """
    generator = torch.Generator().manual_seed(edit.seed)
    state = state_of(network)
    modules = dict(network.named_modules())
    changed: dict[Tensor, Sequence[AxisPlan]] = {}
    axes_of: dict[str, list[AxisPlan]] = defaultdict(list)
    for axis in plan.axes:
        axes_of[axis.tensor].append(axis)
    for name, axes in sorted(axes_of.items()):
        tensor = state[name]
        owner, _, leaf = name.rpartition(".")
        fresh = _FRESH.get(leaf) if _is_norm(modules[owner]) else 0.0 if leaf == "bias" else None
        buffer = not isinstance(tensor, nn.Parameter)
        value, gradient = tensor.detach(), tensor.grad
        tensor.grad = None
        for axis in axes:
            value = _values(value, axis, edit, generator, fresh, buffer=buffer)
            gradient = None if gradient is None else moved(gradient, axis)
        _forget_shape(tensor)
        tensor.data = value
        tensor.grad = gradient
        changed[tensor] = axes
    return changed


def _forget_shape(tensor: Tensor) -> None:
    """Lets autograd make the node that accumulates a gradient anew.

    It knows the shape, and lives as long as anything that was computed from the tensor, such as the loss of the last
    step. torch renews it where the type changes.
    """
    if tensor.requires_grad:
        other = torch.float16 if tensor.dtype == torch.float32 else torch.float32
        tensor.data = tensor.new_empty(0, dtype=other)


def moved(tensor: Tensor, axis: AxisPlan, *, copied: bool = False) -> Tensor:
    """Gives what belongs to a weight, such as its gradient, the new indices of the weight.

    Args:
        tensor: Tensor of the weight's shape.
        axis: Change along one axis.
        copied: Whether new channels have the values of those that they were made beside; otherwise zero.
    """
    taken = tensor.index_select(axis.axis, torch.as_tensor(axis.take, device=tensor.device))
    return taken if copied else _filled(taken, axis, axis.copies, 0.0)


def _values(
    old: Tensor, axis: AxisPlan, edit: Edit, generator: torch.Generator, fresh: float | None, *, buffer: bool
) -> Tensor:
    value = moved(old, axis, copied=True)
    if axis.copies.any():
        if edit.do == "split":
            if axis.role == "in":
                value = _scaled(value, axis, axis.parents, edit.share)
                value = _scaled(value, axis, axis.copies, 1 - edit.share)
            elif axis.role == "out" and edit.noise:
                value = _noisy(value, axis, edit.noise * _std(old), generator, keep=True)
        elif axis.role == "in":
            if edit.init == "zero":
                value = _filled(value, axis, axis.copies, 0.0)
            else:
                value = _noisy(value, axis, _std(old), generator, keep=False)
        elif fresh is not None:
            value = _filled(value, axis, axis.copies, fresh)
        elif axis.role == "out" or old.ndim >= 3:
            value = _noisy(value, axis, _std(old), generator, keep=False)
    if axis.silent.any() and not buffer:
        value = _filled(value, axis, axis.silent, 0.0)
    return value


def _is_norm(module: nn.Module) -> bool:
    kinds = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
    return isinstance(module, kinds)


def _std(tensor: Tensor) -> float:
    """Standard deviation of a weight's entries, 0 for less than two; nothing is known on the meta device."""
    if tensor.is_meta or tensor.numel() < 2:
        return 0.0
    return float(tensor.float().std())


def _index(mask: Mask, device: torch.device) -> Tensor:
    return torch.as_tensor(mask.nonzero()[0], device=device)


def _filled(tensor: Tensor, axis: AxisPlan, mask: Mask, value: float) -> Tensor:
    return tensor.index_fill(axis.axis, _index(mask, tensor.device), value)


def _scaled(tensor: Tensor, axis: AxisPlan, mask: Mask, factor: float) -> Tensor:
    index = _index(mask, tensor.device)
    return tensor.index_copy(axis.axis, index, tensor.index_select(axis.axis, index) * factor)


def _noisy(tensor: Tensor, axis: AxisPlan, std: float, generator: torch.Generator, *, keep: bool) -> Tensor:
    if tensor.is_meta:
        return tensor
    index = _index(axis.copies, tensor.device)
    chosen = tensor.index_select(axis.axis, index)
    noise = torch.randn(chosen.shape, generator=generator).to(chosen) * std
    return tensor.index_copy(axis.axis, index, chosen + noise if keep else noise)
