"""Additions, average pools and concatenations of a quantised network on codes: its graph with what they need.

Where branches meet, a map is coded once with 8 bits, and whoever reads it reads the codes: a sum of branches, a pool,
and the convolutions behind, whose own quantisers compare codes instead of values. The network becomes a graph of the
same modules with the same names, in which control flow is that of its inference.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

from nasplug.contract.errors import TaskError
from nasplug_darts_lp.layers.exact import ExactAvgPool
from nasplug_darts_lp.layers.graphs import follow_changes, input_of, is_relu
from nasplug_darts_lp.layers.quantised import QuantConv2d, QuantLinear
from nasplug_darts_lp.layers.sums import IntegerSum, MapQuantiser

_WHERE = "darts_lp.quantise"
_ADD_FUNCTIONS: tuple[object, ...] = (operator.add, operator.iadd, torch.add)
_ADD_METHODS = ("add", "add_")
_SAME = (nn.Identity, nn.Dropout, nn.Dropout2d, nn.MaxPool2d)


def integer_sums(network: nn.Module) -> nn.Module:
    """A network whose additions, average pools and concatenations are those of codes of 8 bits.

    Args:
        network: Quantised network; its modules are those of what is returned.

    Returns:
        A `torch.fx.GraphModule`; the network itself if it has none of these.

    Raises:
        TaskError: torch.fx cannot follow the network, or it drops activations outside of modules.
    """
    training = network.training
    try:
        graph = _Tracer().trace(network.eval())
    except Exception as error:  # whatever the network does that a graph cannot hold
        raise TaskError(
            f"the additions of {type(network).__name__} cannot be found",
            where=_WHERE,
            why=" ".join(f"{type(error).__name__}: {error}".split())[:300],
            fix="its forward must not branch on values or shapes (torch.fx); or leave sums: float",
        ) from error
    finally:
        network.train(training)
    made = fx.GraphModule(network, graph, type(network).__name__)
    follow_changes(made)
    found = _Streams(made)
    for node in list(made.graph.nodes):
        found.visit(node)
    if not found.changed:
        return network
    made.graph.lint()
    made.recompile()
    return made.train(training)


class _Tracer(fx.Tracer):
    """Leaves whole what reads one map and has no quantised layer inside: its control flow may depend on the mode."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, (QuantConv2d, QuantLinear)) or super().is_leaf_module(m, module_qualified_name)

    def call_module(
        self, m: nn.Module, forward: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object]
    ) -> object:
        parts = (QuantConv2d, QuantLinear, ExactAvgPool)
        inside = any(isinstance(part, parts) for part in m.modules())
        if isinstance(m, ExactAvgPool) or (not inside and len(args) == 1 and not kwargs):
            return self.create_proxy("call_module", self.path_of_module(m), args, kwargs)
        return super().call_module(m, forward, args, kwargs)


class _Streams:
    """The graph while quantisers are put into it, first operation first."""

    def __init__(self, module: fx.GraphModule) -> None:
        self._module, self._graph = module, module.graph
        self._modules: dict[str, nn.Module] = dict(module.named_modules(remove_duplicate=False))
        self._coded: dict[fx.Node, tuple[str, bool]] = {}  # quantiser, and whether its codes are never negative
        self.changed = 0

    def visit(self, node: fx.Node) -> None:
        """Exchanges a node that adds, averages or concatenates."""
        if "dropout" in str(getattr(node.target, "__name__", "")):
            raise TaskError(
                f"{node} drops activations in a function",
                where=_WHERE,
                why="a graph would do that in training and inference alike",
                fix="drop in a module (nn.Dropout), or leave sums: float",
            )
        if _adds(node):
            self._add(node)
        elif _concatenates(node):
            with self._graph.inserting_after(node):
                self._code(node)
        elif (pool := self._pool(node)) is not None:
            self._average(node, pool)

    def _add(self, node: fx.Node) -> None:
        branches = [self._stream(branch) for branch in _operands(node) if isinstance(branch, fx.Node)]
        readers = list(node.users)
        positive = len(readers) == 1 and self._is_relu(readers[0])
        name = self._new("sum", IntegerSum(levels="unsigned" if positive else "auto"))
        with self._graph.inserting_before(node):
            steps = [self._graph.get_attr(f"{quantiser}.step") for _, quantiser in branches]
            total = self._graph.call_module(name, (*(branch for branch, _ in branches), *steps))
        node.replace_all_uses_with(total)
        self._graph.erase_node(node)
        self._coded[total] = (f"{name}.output", positive)

    def _average(self, node: fx.Node, pool: nn.Module) -> None:
        source, _ = self._stream(input_of(node))
        self.changed += 1
        if node.op == "call_module":
            return
        name = self._new("pool", pool)
        with self._graph.inserting_before(node):
            found = self._graph.call_module(name, (source,))
        node.replace_all_uses_with(found)
        self._graph.erase_node(node)

    def _stream(self, node: fx.Node) -> tuple[fx.Node, str]:
        """The node, or a quantiser behind it, and the name of the quantiser whose codes its values are."""
        quantiser = self._quantiser_of(node)
        if quantiser is not None:
            return node, quantiser
        while node.op == "call_module" and type(self._modules.get(str(node.target))) is nn.Identity:
            node = input_of(node)  # so that whatever else reads it reads the same codes
        with self._graph.inserting_after(node):
            return self._code(node)

    def _code(self, node: fx.Node) -> tuple[fx.Node, str]:
        name = self._new("codes", MapQuantiser())
        coded = self._graph.call_module(name, (node,))
        node.replace_all_uses_with(coded, delete_user_cb=lambda user: user is not coded)
        self._coded[coded] = (name, False)
        return coded, name

    def _quantiser_of(self, node: fx.Node) -> str | None:
        """The quantiser whose codes are the values of a node, through what leaves codes as they are."""
        through_relu = False
        while node not in self._coded:
            module = self._modules.get(str(node.target)) if node.op == "call_module" else None
            through_relu = through_relu or self._is_relu(node)
            if not (self._is_relu(node) or (type(module) in _SAME and not getattr(module, "return_indices", False))):
                return None
            node = input_of(node)
        quantiser, positive = self._coded[node]
        return None if through_relu and not positive else quantiser

    def _is_relu(self, node: fx.Node) -> bool:
        return is_relu(node, self._modules.get(str(node.target)) if node.op == "call_module" else None)

    def _pool(self, node: fx.Node) -> nn.Module | None:
        """The average pool that a node is, in its exact form."""
        if node.op == "call_module":
            module = self._modules.get(str(node.target))
            return module if isinstance(module, ExactAvgPool) else None
        others = node.args[1:]
        if any(isinstance(value, fx.Node) for value in (*others, *node.kwargs.values())):
            return None
        keywords: Mapping[str, Any] = {name: value for name, value in node.kwargs.items() if name != "input"}
        made: nn.Module | None = None
        if node.target in (torch.mean, "mean"):
            made = _mean(others, keywords)
        elif node.target is functional.adaptive_avg_pool2d:
            made = nn.AdaptiveAvgPool2d(*others, **keywords)  # type: ignore[arg-type]
        elif node.target is functional.avg_pool2d:
            made = nn.AvgPool2d(*others, **keywords)  # type: ignore[arg-type]
        return None if made is None else ExactAvgPool(made)

    def _new(self, kind: str, module: nn.Module) -> str:
        self.changed += 1
        number = 0
        while f"{kind}_{number}" in self._modules or hasattr(self._module, f"{kind}_{number}"):
            number += 1
        name = f"{kind}_{number}"
        self._module.add_submodule(name, module)
        self._modules.update({name: module, f"{name}.output": getattr(module, "output", module)})
        return name


def _adds(node: fx.Node) -> bool:
    by_name = node.op == "call_method" and node.target in _ADD_METHODS
    if not by_name and not (node.op == "call_function" and node.target in _ADD_FUNCTIONS):
        return False
    operands = _operands(node)
    return len(operands) == 2 and all(map(_is_map, operands)) and bool(node.kwargs.get("alpha", 1) == 1)


def _operands(node: fx.Node) -> list[object]:
    return [*node.args, *(node.kwargs[name] for name in ("input", "other") if name in node.kwargs)]


def _is_map(value: object) -> bool:
    """Whether it is what some operation made of a map; sizes and parameters are not."""
    if not isinstance(value, fx.Node) or value.op not in ("call_module", "call_function", "call_method"):
        return False
    return value.target not in (getattr, operator.getitem, "size", "dim")


def _concatenates(node: fx.Node) -> bool:
    if node.op != "call_function" or node.target not in (torch.cat, torch.concat):
        return False
    dim = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)
    return isinstance(dim, int) and dim in (1, -3)


def _mean(others: tuple[Any, ...], keywords: Mapping[str, Any]) -> nn.Module | None:
    """A mean over height and width as a pool."""
    dims = others[0] if others else keywords.get("dim")
    keep = others[1] if len(others) > 1 else keywords.get("keepdim", False)
    if not isinstance(dims, (tuple, list)) or sorted(int(dim) % 4 for dim in dims) != [2, 3]:
        return None
    return nn.AdaptiveAvgPool2d(1) if keep else nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1))
