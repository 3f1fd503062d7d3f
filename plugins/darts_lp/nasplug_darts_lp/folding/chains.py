"""What lies between a convolution and a quantiser, if it is monotone."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from nasplug_darts_lp.layers.exact import ExactBatchNorm2d
from nasplug_darts_lp.layers.graphs import input_of

#: Modules that never fall, and treat every number alike.
_RISING = (nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.Identity, nn.Dropout, nn.Dropout2d)
_RISING_FUNCTIONS = (torch.relu, functional.relu, functional.relu6, functional.hardtanh, torch.clamp)
_RISING_METHODS = ("relu", "relu_", "clamp", "clamp_", "contiguous")


@dataclass(frozen=True)
class Chain:
    """A way from an accumulator to a quantiser.

    Attributes:
        origin: Node that brought the accumulator to values.
        functions: Functions applied one after the other; every number by itself, channel by channel, monotone.
        pools: Max pools on the way, which may as well be applied to codes.
        flat: Whether maps become rows of features behind the pools.
    """

    origin: fx.Node
    functions: tuple[Callable[[Tensor], Tensor], ...]
    pools: tuple[nn.Module, ...]
    flat: bool = False


def chain_to(node: fx.Node, origins: Mapping[fx.Node, Any], modules: Mapping[str, nn.Module]) -> Chain | None:
    """Walks back from what a quantiser reads; None if it comes to something that is not monotone.

    Args:
        node: Node that the quantiser reads.
        origins: Nodes that bring accumulators to values.
        modules: Modules of the graph, by name.
    """
    functions: list[Callable[[Tensor], Tensor]] = []
    pools: list[nn.Module] = []
    flat = False
    may_pool = True  # a pool commutes with what rises behind it, and normalisation may fall
    while node not in origins:
        module = modules[str(node.target)] if node.op == "call_module" else None
        if isinstance(module, nn.MaxPool2d) and may_pool and not module.return_indices:
            pools.append(module)
        elif flattens(node, module):
            flat = True
        else:
            function = _monotone(node, module)
            if function is None:
                return None
            may_pool = may_pool and not isinstance(module, ExactBatchNorm2d)
            functions.append(function)
        source = input_of(node)
        if not isinstance(source, fx.Node):
            return None
        node = source
    return Chain(node, tuple(reversed(functions)), tuple(reversed(pools)), flat)


def flattens(node: fx.Node, module: nn.Module | None) -> bool:
    """Whether a node makes rows (N, C H W) of maps (N, C, H, W).

    Args:
        node: Node of the graph.
        module: Module that it calls.
    """
    if module is not None:
        return type(module) is nn.Flatten and module.start_dim == 1 and module.end_dim in (-1, 3)
    return node.target in (torch.flatten, "flatten") and node.args[1:] in ((1,), (1, -1)) and not node.kwargs


def _monotone(node: fx.Node, module: nn.Module | None) -> Callable[[Tensor], Tensor] | None:
    if module is not None:
        if isinstance(module, ExactBatchNorm2d):
            return module if isinstance(getattr(module, "act", nn.Identity()), _RISING) else None
        slope = getattr(module, "negative_slope", -1.0) if isinstance(module, nn.LeakyReLU) else -1.0
        return module if type(module) in _RISING or slope >= 0 else None
    others: Any = node.args[1:]
    if any(isinstance(value, fx.Node) for value in (*others, *node.kwargs.values())):
        return None
    keywords = {name: value for name, value in node.kwargs.items() if name != "input"}
    if node.op == "call_function" and node.target in _RISING_FUNCTIONS:
        return partial(_call, node.target, others, keywords)
    if node.op == "call_method" and node.target in _RISING_METHODS:
        return partial(_call, operator.methodcaller(str(node.target), *others, **keywords), (), {})
    return None


def _call(function: Any, others: tuple[Any, ...], keywords: dict[str, Any], value: Tensor) -> Tensor:
    found: Tensor = function(value, *others, **keywords)
    return found


def concatenated(node: fx.Node) -> list[fx.Node]:
    """The maps that a node puts side by side along channels; none if it does something else."""
    if node.op != "call_function" or node.target not in (torch.cat, torch.concat):
        return []
    parts: Any = node.args[0] if node.args else node.kwargs["tensors"]
    dim = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)
    return list(parts) if dim in (1, -3) and all(isinstance(part, fx.Node) for part in parts) else []
