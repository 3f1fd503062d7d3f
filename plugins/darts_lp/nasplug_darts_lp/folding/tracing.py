"""A network as a graph of operations, with quantised layers left whole."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from nasplug.contract.errors import SpecError
from nasplug_darts_lp.layers.exact import ExactAvgPool, ExactBatchNorm2d
from nasplug_darts_lp.layers.graphs import follow_changes
from nasplug_darts_lp.layers.quantised import QuantConv2d, QuantLinear
from nasplug_darts_lp.layers.sums import IntegerSum
from nasplug_darts_lp.quantisers import ActivationQuantiser

_LEAVES = (QuantConv2d, QuantLinear, ExactBatchNorm2d, ExactAvgPool, ActivationQuantiser, IntegerSum)


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
        follow_changes(module)
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


def shape_of(node: fx.Node) -> tuple[int, ...]:
    """Shape of what a node gives, for a batch of two."""
    return tuple(int(size) for size in node.meta["tensor_meta"].shape)
