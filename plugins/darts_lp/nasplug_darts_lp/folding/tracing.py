"""A network as a graph of operations, with quantised layers left whole."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from nasplug.contract.errors import SpecError
from nasplug_darts_lp.layers.exact import ExactAvgPool, ExactBatchNorm2d
from nasplug_darts_lp.layers.quantised import QuantConv2d, QuantLinear

_IN_PLACE = (operator.iadd, operator.isub, operator.imul, operator.itruediv)
_LEAVES = (QuantConv2d, QuantLinear, ExactBatchNorm2d, ExactAvgPool)


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, _LEAVES) or super().is_leaf_module(m, module_qualified_name)


def trace(network: nn.Module, input_shape: Sequence[int]) -> fx.GraphModule:
    """The graph of a network in inference, with the shapes of all its tensors.

    Args:
        network: Network in inference mode.
        input_shape: Shape of one input without the batch.

    Raises:
        SpecError: The network does what a graph cannot hold, such as an `if` on values, or takes no such input.
    """
    try:
        graph = _Tracer().trace(network)
        module = fx.GraphModule(network, graph)
        _follow_changes(module)
        with torch.no_grad():
            ShapeProp(module).propagate(torch.zeros(2, *input_shape))
    except Exception as error:  # whatever the network does not like about it
        raise SpecError(
            f"{type(network).__name__} cannot be folded",
            where="fold",
            why=" ".join(f"{type(error).__name__}: {error}".split())[:300],
            fix="its forward must not branch on values or shapes (torch.fx), and take one tensor",
        ) from error
    return module


def _follow_changes(module: fx.GraphModule) -> None:
    """Lets whoever reads a tensor after it was changed in place read what the change gave.

    Then the graph says all that happens, and a change that nobody reads any more can be left out.
    """
    positions = {node: index for index, node in enumerate(module.graph.nodes)}
    modules = dict(module.named_modules(remove_duplicate=False))
    for node in module.graph.nodes:
        source = input_of(node)
        if isinstance(source, fx.Node) and _changes_its_input(node, modules):
            for reader in list(source.users):
                if positions[reader] > positions[node]:
                    reader.replace_input_with(source, node)
    module.recompile()


def _changes_its_input(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    if node.op == "call_module":
        return bool(getattr(modules[str(node.target)], "inplace", False))
    if node.op == "call_method":
        return str(node.target).endswith("_") and not str(node.target).endswith("__")
    if node.op != "call_function":
        return False
    name = getattr(node.target, "__name__", "")
    in_place = node.kwargs.get("inplace", False) or (name in ("relu", "relu6", "leaky_relu") and True in node.args[1:])
    return bool(in_place) or node.target in _IN_PLACE or (name.endswith("_") and not name.endswith("__"))


def shape_of(node: fx.Node) -> tuple[int, ...]:
    """Shape of what a node gives, for a batch of two."""
    return tuple(int(size) for size in node.meta["tensor_meta"].shape)


def input_of(node: fx.Node) -> Any:
    """The first argument of a node, by position or by name."""
    return node.args[0] if node.args else node.kwargs.get("input")
