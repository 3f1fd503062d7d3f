"""Multiply-accumulates of a network module by module."""

from __future__ import annotations

from collections.abc import Container

from torch import nn

from nasplug.contract.io import InputsLike
from nasplug.cost.counts import count_operations

#: Operators that multiply activations by weights; the others that are counted multiply activations by each other.
BY_WEIGHTS = ("aten.convolution", "aten._convolution", "aten.mm", "aten.addmm")


def macs_by_module(
    network: nn.Module,
    inputs: InputsLike,
    *,
    operators: Container[str] | None = None,
    where: str = "count",
    what: str = "multiply-accumulates",
) -> dict[str, int]:
    """Counts the multiply-accumulates of one inference on one input, by the module that does them itself.

    Args:
        network: Network, called as the inputs say.
        inputs: Inputs of the network, or the shape of one float input without the batch.
        operators: Names of the operators to count, such as `BY_WEIGHTS`; None counts all.
        where: Name of the cost, for messages.
        what: Noun for what is counted, for messages.

    Returns:
        Number by qualified name of the module; the empty name is the network itself. The numbers add up to
        `count_macs` where all operators are counted.

    Raises:
        TaskError: The network cannot take such inputs, or does what cannot be counted.
    """
    counter = count_operations(network, inputs, where=where, what=what)
    root = type(network).__name__
    table: dict[str, int] = {}
    for path, found in counter.get_flop_counts().items():
        if path == root or path.startswith(f"{root}."):
            flops = sum(count for name, count in found.items() if operators is None or str(name) in operators)
            table[path.removeprefix(root).removeprefix(".")] = flops // 2  # two operations are one multiply-accumulate
    # A module's number has its children's in it.
    return {
        path: own - sum(table.get(f"{path}.{name}" if path else name, 0) for name in _children(network, path))
        for path, own in table.items()
    }


def _children(network: nn.Module, path: str) -> list[str]:
    return [name for name, _ in network.get_submodule(path).named_children()]
