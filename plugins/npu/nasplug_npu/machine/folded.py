"""Folded networks of `nasplug_darts_lp` as layers of whole numbers, which the machine computes.

A folded network is products of codes with comparisons between them. What lies between a product and the comparison
behind it is one monotone function of each sum, so that integer thresholds say all of it: they are found by bisection on
the modules themselves. The first comparison, which turns numbers into codes, and what follows the last product stay
with the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from nasplug.contract.errors import SpecError
from nasplug_npu.machine.codes import Line, Steps, line_in_whole_numbers
from nasplug_npu.machine.layers import Coded, Layer
from nasplug_npu.machine.layout import Ints
from nasplug_npu.machine.parameters import RECORD

if TYPE_CHECKING:
    from nasplug_darts_lp.folding.fold import FoldedNetwork
    from torch import Tensor, fx, nn

#: Widths that maps and weights are stored in.
WIDTHS = (2, 4, 8)


@dataclass
class Chain:
    """A folded network as the machine sees it.

    Attributes:
        layers: Layers, one after the other.
        stages: Node of the folded network whose numbers each layer stores, and the code that stands for 0 there.
        first: Node of the comparison that makes the codes of the input, and the code that stands for 0.
        shape: Shape of these codes (C, H, W).
        bits: Width of the codes of the input.
        signed: Whether they are two's complement.
        left: Nodes that are left to the host, if a part may be.
    """

    layers: list[Layer] = field(default_factory=list)
    stages: list[tuple[str, int]] = field(default_factory=list)
    first: tuple[str, int] = ("", 0)
    shape: tuple[int, int, int] = (0, 0, 0)
    bits: int = 8
    signed: bool = False
    left: tuple[str, ...] = ()


@dataclass
class _Open:
    """A product whose sums have not become codes yet."""

    name: str
    node: str
    weights: Ints
    settings: dict[str, Any]
    functions: list[Callable[[Tensor], Tensor]] = field(default_factory=list)
    pools: list[nn.Module] = field(default_factory=list)


def read_folded(folded: FoldedNetwork, *, narrow: bool, partial: bool = False) -> Chain:
    """The layers of a folded network.

    Args:
        folded: The network.
        narrow: Whether the machine gains from fewer than 8 bits; else everything is stored in 8.
        partial: Whether the network may go on elsewhere from the first node that the machine does not compute.

    Raises:
        SpecError: It has something that the machine does not compute; the message names it.
    """
    return _Reader(folded, narrow=narrow).read(partial=partial)


class _Reader:
    """Walks along the graph."""

    def __init__(self, folded: FoldedNetwork, *, narrow: bool) -> None:
        self.folded, self.narrow = folded, narrow
        self.modules = dict(folded.body.named_modules(remove_duplicate=False))
        self.chain = Chain()
        self.open: _Open | None = None
        self.shape: tuple[int, int, int] = (0, 0, 0)
        self.range = (0, 0)
        self.zero = self.factor = 0

    def read(self, *, partial: bool) -> Chain:
        """See `read_folded`."""
        nodes = [node for node in self.folded.body.graph.nodes if node.op not in ("placeholder", "output")]
        for number, node in enumerate(nodes):
            readers = ", ".join(str(user) for user in node.users)
            try:
                self._node(node)
                if len(node.users) > 1:
                    raise _refused(str(node), f"its output is read by {readers}", "the machine computes chains")
            except SpecError:
                if not partial or not (self.chain.layers or self.open):
                    raise
                self.chain.left = tuple(str(other) for other in nodes[number:])
                break
        if self.open is not None:
            self._close(None, None)
        if not self.chain.layers:
            raise _refused("the network", "it has no product of whole numbers", "it was not quantised")
        return self.chain

    def _node(self, node: fx.Node) -> None:
        from nasplug_darts_lp.folding import modules as parts

        module = self.modules.get(str(node.target)) if node.op == "call_module" else None
        if isinstance(module, parts.Comparison):
            self._close(node, module)
        elif isinstance(module, parts.CodePool):
            self._pool(str(node), module.pool)
        elif isinstance(module, parts.IntegerConv2d):
            weights = module.weight.to(int_type()).numpy() - parts.WEIGHT_ZERO
            if module.stride[0] != module.stride[1] or module.dilation[0] != module.dilation[1]:
                raise _refused(str(node), "its strides or dilations differ", "the machine has one for both sides")
            top, left, bottom, right = module.padding
            settings: dict[str, Any] = {
                "stride": module.stride[0],
                "dilation": module.dilation[0],
                "groups": module.groups,
            }
            settings["padding"] = (top, left, bottom, right)
            self._product(node, weights, settings)
        elif isinstance(module, parts.IntegerLinear):
            c, h, w = self.shape
            flat = module.weight.to(int_type()).numpy().T - parts.WEIGHT_ZERO
            self._product(node, flat.reshape(len(flat), c, h, w), {})
        elif self.open is None:
            if self.chain.first[0]:
                self._flatten(node, module)
        else:
            self._between(node, module)

    def _product(self, node: fx.Node, weights: Ints, settings: dict[str, Any]) -> None:
        if self.open is not None or not self.chain.first[0]:
            raise _refused(str(node), "its inputs are not codes", "a comparison must stand in front of it")
        name = str(node).removesuffix("_product")
        self.open = _Open(name, str(node), weights, settings)

    def _between(self, node: fx.Node, module: nn.Module | None) -> None:
        """Something between a product and a comparison."""
        from nasplug_darts_lp.folding.modules import Rescale
        from torch import nn

        assert self.open is not None
        parts = list(module) if isinstance(module, nn.Sequential) else [module]
        for part in parts:
            if isinstance(part, nn.MaxPool2d):
                self.open.pools.append(part)
            elif isinstance(part, Rescale):
                if self.open.pools and bool((part.scale < 0).any()):
                    raise _refused(str(node), "it falls behind a max pool", "the largest code would be another")
                self.open.functions.append(part)
            elif isinstance(part, (nn.ReLU, nn.ReLU6, nn.Hardtanh)):
                self.open.functions.append(part)
            elif not isinstance(part, (nn.Identity, nn.Dropout, nn.Dropout2d)):
                self._function(node, part)

    def _function(self, node: fx.Node, module: nn.Module | None) -> None:
        import torch
        from torch.nn import functional

        assert self.open is not None
        if node.target in (torch.relu, functional.relu, "relu", functional.relu6):
            self.open.functions.append(functional.relu6 if node.target is functional.relu6 else functional.relu)
        else:
            self._flatten(node, module)

    def _flatten(self, node: fx.Node, module: nn.Module | None) -> None:
        import torch
        from torch import nn

        if isinstance(module, nn.Flatten) or node.target in (torch.flatten, "flatten"):
            return
        if isinstance(module, (nn.Identity, nn.Dropout)):
            return
        what = type(module).__name__ if module is not None else getattr(node.target, "__name__", str(node.target))
        raise _refused(str(node), f"the machine has no {what}", "it computes products, comparisons and max pools")

    def _pool(self, node: str, pool: nn.Module) -> None:
        k, s, p, d = (_one(getattr(pool, name), node) for name in ("kernel_size", "stride", "padding", "dilation"))
        if getattr(pool, "ceil_mode", False):
            raise _refused(node, "a max pool with ceil_mode", "windows would end outside of the map")
        layer = Layer(node, (k, k), stride=s, padding=(p, p, p, p), dilation=d)
        self._add(layer, node)

    def _add(self, layer: Layer, node: str) -> None:
        channels, height, width = self.shape
        self.shape = (layer.out_channels(channels), *layer.out_size(height, width))
        self.chain.layers.append(layer)
        self.chain.stages.append((node, self.zero))

    def _close(self, node: fx.Node | None, comparison: Any) -> None:
        """Sums become codes, or stay as they are at the end."""
        if self.open is None:
            assert node is not None
            self._first(node, comparison)
            return
        product = self.open
        kernel = (product.weights.shape[2], product.weights.shape[3])
        bits = _width(int(product.weights.min()), int(product.weights.max()), signed=True) if self.narrow else 8
        bound = int(np.abs(product.weights).sum(axis=(1, 2, 3)).max()) * max(map(abs, self.range))
        if comparison is None:
            self.open = None
            layer = Layer(product.name, kernel, product.weights, bits, **product.settings)
            self._add(layer, product.node)
            self.chain.stages[-1] = (product.node, 0)
            return
        coded, signs, limits = self._coded(product, comparison, bound)
        weights = product.weights * signs[:, None, None, None]
        self.open = None
        self.range, self.zero = limits, coded.zero
        assert node is not None
        self._add(Layer(product.name, kernel, weights, bits, coded=coded, **product.settings), str(node))
        for number, pool in enumerate(product.pools):  # the folded network pools values, and has no codes before
            self.chain.stages[-1] = ("", self.zero)
            self._pool(str(node) if number + 1 == len(product.pools) else f"{node}_pool_{number}", pool)

    def _first(self, node: fx.Node, comparison: Any) -> None:
        if self.chain.first[0]:
            raise _refused(str(node), "codes are compared again", "a product must stand between")
        self._codes_of(node, comparison)
        self.chain.first = (str(node), self.zero)
        channels, height, width = (*self.folded.input_shape, 1, 1)[:3]
        self.chain.shape = self.shape = (channels, height, width)
        self.range = self._limits(comparison)
        self.chain.bits = _width(*self.range, signed=self.range[0] < 0) if self.narrow else 8
        self.chain.signed = self.range[0] < 0

    def _codes_of(self, node: fx.Node, comparison: Any) -> None:
        """Finds the code that stands for 0, which the next product knows."""
        reader = node
        while reader.users:
            reader = next(iter(reader.users))
            zero = getattr(self.modules.get(str(reader.target)), "zero", None) if reader.op == "call_module" else None
            if zero is not None:
                self.zero, self.factor = int(zero), int(comparison.factor)
                return
        raise _refused(str(node), "nobody multiplies its codes", "a product must follow")

    def _limits(self, comparison: Any) -> tuple[int, int]:
        steps = getattr(comparison, "steps", None)
        levels = int(steps) if steps is not None else int(comparison.thresholds.shape[1])
        return -self.zero, levels * self.factor - self.zero

    def _coded(self, product: _Open, comparison: Any, bound: int) -> tuple[Coded, Ints, tuple[int, int]]:
        import torch
        from nasplug_darts_lp.folding.thresholds import integer_thresholds

        name = product.name
        node = next(node for node in self.folded.body.graph.nodes if self.modules.get(str(node.target)) is comparison)
        self._codes_of(node, comparison)
        limits = self._limits(comparison)
        levels = (limits[1] - limits[0]) // self.factor
        channels = len(product.weights)
        thresholds = getattr(comparison, "thresholds", None)
        own = thresholds is not None and thresholds.ndim == 2 and len(thresholds) not in (1, channels)
        if own and not comparison.integer:
            raise _refused(name, "a threshold for every feature behind it", "quantise with `fixed`, `lsq` or `pact`")

        def codes(sums: Tensor) -> Tensor:
            found = sums.reshape(*sums.shape, 1, 1)
            if comparison.integer:
                return comparison(found.to(torch.int32)).reshape(sums.shape).to(torch.float32)  # type: ignore[no-any-return]
            for function in product.functions:
                found = function(found)
            return comparison(found.to(torch.float32)).reshape(sums.shape).to(torch.float32)  # type: ignore[no-any-return]

        wanted = (torch.arange(1, levels + 1) * self.factor).to(torch.float32).expand(channels, levels)
        reached, signs = integer_thresholds(codes, wanted, bound)
        signed = limits[0] < 0
        bits = _width(*limits, signed=signed) if self.narrow else 8
        flips, few = signs.numpy().astype(np.int64), levels <= RECORD
        rule = Steps(reached.numpy().astype(np.int64)) if few else _line(name, reached, bound)
        return Coded(rule, bits, signed, self.zero, self.factor == 2), flips, limits


def _line(name: str, reached: Tensor, bound: int) -> Line:
    from nasplug_darts_lp.folding.lines import line_through

    found = line_through(reached, bound)
    if found is None or bool(found.bent.any()):
        raise _refused(
            name,
            "thresholds that do not lie on a line, up to 4 sums in a channel",
            "more than 15 thresholds must, and with 8 bits and long sums the rounding of the float network moves more",
        )
    parts = [getattr(found, part).numpy() for part in ("slope", "offset")]
    wholes = [getattr(found, part).numpy().astype(np.int64) for part in ("low", "high", "at", "step")]
    return line_in_whole_numbers(parts[0], parts[1], wholes[0], wholes[1], wholes[2], wholes[3], bound)


def _width(low: int, high: int, *, signed: bool) -> int:
    """The narrowest width that holds a range; of weights, which may change their sign, also the opposite."""
    for bits in WIDTHS:
        least, most = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
        if low >= least and high <= most:
            return bits
    raise _refused("a layer", f"numbers from {low} to {high}", "the widest operand has 8 bits")


def _one(value: Any, node: str) -> int:
    sizes = {int(size) for size in (value if isinstance(value, (tuple, list)) else (value,))}
    if len(sizes) > 1:
        raise _refused(node, "a window that is not square", "pools of the machine are square")
    return sizes.pop()


def int_type() -> Any:
    """The integers that numbers are read in."""
    import torch

    return torch.int64


def _refused(what: str, problem: str, why: str) -> SpecError:
    return SpecError(
        f"{what}: {problem}",
        where="npu machine",
        why=why,
        fix="leave it and what follows to the host (`--partial`), or estimate the network: `nasplug npu estimate`",
    )
