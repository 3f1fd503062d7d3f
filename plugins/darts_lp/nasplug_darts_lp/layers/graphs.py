"""What graphs of torch.fx leave out: changes in place, and first arguments by name."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

_RELU: tuple[object, ...] = (torch.relu, functional.relu, "relu", "relu_")
_IN_PLACE = (operator.iadd, operator.isub, operator.imul, operator.itruediv)


def follow_changes(module: fx.GraphModule) -> None:
    """Lets whoever reads a tensor after it was changed in place read what the change gave.

    Then the graph says all that happens, and a change that nobody reads any more can be left out.
    """
    positions = {node: index for index, node in enumerate(module.graph.nodes)}
    modules = dict(module.named_modules(remove_duplicate=False))
    for node in module.graph.nodes:
        source = input_of(node)
        if isinstance(source, fx.Node) and changes_its_input(node, modules):
            for reader in list(source.users):
                if positions[reader] > positions[node]:
                    reader.replace_input_with(source, node)
    module.recompile()


def changes_its_input(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    """Whether a node writes into the tensor that it reads.

    Args:
        node: Node of the graph.
        modules: Modules of the graph, by name.
    """
    if node.op == "call_module":
        return bool(getattr(modules[str(node.target)], "inplace", False))
    if node.op == "call_method":
        return str(node.target).endswith("_") and not str(node.target).endswith("__")
    if node.op != "call_function":
        return False
    name = getattr(node.target, "__name__", "")
    in_place = node.kwargs.get("inplace", False) or (name in ("relu", "relu6", "leaky_relu") and True in node.args[1:])
    return bool(in_place) or node.target in _IN_PLACE or (name.endswith("_") and not name.endswith("__"))


def input_of(node: fx.Node) -> Any:
    """The first argument of a node, by position or by name."""
    return node.args[0] if node.args else node.kwargs.get("input")


def is_relu(node: fx.Node, module: nn.Module | None) -> bool:
    """Whether a node is a ReLU.

    Args:
        node: Node of the graph.
        module: Module that it calls.
    """
    if module is not None:
        return type(module) is nn.ReLU
    return node.op in ("call_function", "call_method") and node.target in _RELU
