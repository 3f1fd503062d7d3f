"""Folded networks of `nasplug_darts_lp` as layers of whole numbers, which the machine computes.

A folded network is products of codes with comparisons between them, and sums of codes where branches meet. What lies
between sums and the comparison behind them is one monotone function of each sum, so that integer thresholds say all of
it: they are found by bisection on the modules themselves. The first comparison, which turns numbers into codes, and
what follows the last product stay with the caller.

Codes that a product reads are stored less the code that stands for 0. Codes of whole maps, which sums and pools read,
are stored less 128, with 8 bits and a sign, whatever stands for 0 there: so two of them can be added in one pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nasplug.contract.errors import SpecError
from nasplug_npu.machine.codes import Line, Steps, line_in_whole_numbers
from nasplug_npu.machine.layers import Coded, Layer, addition, window_sums
from nasplug_npu.machine.layout import Ints
from nasplug_npu.machine.parameters import RECORD

if TYPE_CHECKING:
    from nasplug_darts_lp.folding.fold import FoldedNetwork
    from torch import Tensor, fx, nn

#: Widths that maps and weights are stored in.
WIDTHS = (2, 4, 8)
#: Code of a whole map that is stored as 0.
MIDDLE = 128


@dataclass
class Chain:
    """A folded network as the machine sees it.

    Attributes:
        layers: Layers in an order in which they can be computed.
        sources: Numbers of the layers that each reads, -1 for the input.
        stages: Node of the folded network whose numbers each layer stores, and what they are stored less.
        first: Node of the comparison that makes the codes of the input, and what they are stored less.
        shape: Shape of these codes (C, H, W).
        bits: Width of the codes of the input.
        signed: Whether they are two's complement.
        left: Nodes that are left to the host, if a part may be.
    """

    layers: list[Layer] = field(default_factory=list)
    sources: list[tuple[int, ...]] = field(default_factory=list)
    stages: list[tuple[str, int]] = field(default_factory=list)
    first: tuple[str, int] = ("", 0)
    shape: tuple[int, int, int] = (0, 0, 0)
    bits: int = 8
    signed: bool = False
    left: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Stored:
    """A map that a layer stores.

    Attributes:
        layer: Number of the layer, -1 for the input.
        shape: Shape (C, H, W).
        range: Smallest and largest number that is stored.
        less: Number that codes are stored less.
    """

    layer: int
    shape: tuple[int, int, int]
    range: tuple[int, int]
    less: int


@dataclass(frozen=True)
class _Open:
    """Sums that have not become codes yet.

    Attributes:
        name: Name of the layer; empty where that of the comparison is taken.
        node: Node of the folded network.
        layer: The layer without its coding.
        source: Map that it reads.
        more: Difference of the sums of the folded network from those of stored numbers, the same for all channels.
        functions: Functions between sums and comparison.
        pools: Max pools between them.
    """

    name: str
    node: str
    layer: Layer
    source: _Stored
    more: int = 0
    functions: tuple[Callable[[Tensor], Tensor], ...] = ()
    pools: tuple[nn.Module, ...] = ()


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
        self.seen: dict[fx.Node, _Stored | _Open] = {}
        self.closed: set[str] = set()
        self.ended: set[str] = set()

    def read(self, *, partial: bool) -> Chain:
        """See `read_folded`."""
        nodes = [node for node in self.folded.body.graph.nodes if node.op not in ("placeholder", "output")]
        for number, node in enumerate(nodes):
            try:
                found = self._node(node)
            except SpecError:
                if not partial or not (self.chain.layers or self.seen):
                    raise
                self.chain.left = tuple(str(other) for other in nodes[number:])
                break
            if found is not None:
                self.seen[node] = found
        left = set(self.chain.left)
        for node, kept in list(self.seen.items()):
            if not isinstance(kept, _Open) or not kept.name or kept.node in self.ended:
                continue
            if kept.node not in self.closed or any(str(user) in left for user in node.users):
                self._end(kept)
        if not self.chain.layers:
            raise _refused("the network", "it has no product of whole numbers", "it was not quantised")
        return self.chain

    def _node(self, node: fx.Node) -> _Stored | _Open | None:
        from nasplug_darts_lp.folding import modules as parts
        from nasplug_darts_lp.folding import sums

        module = self.modules.get(str(node.target)) if node.op == "call_module" else None
        sources: list[Any] = [self.seen.get(arg) for arg in node.all_input_nodes]
        source = sources[0] if sources else None
        if isinstance(module, parts.Comparison):
            return self._first(node, module) if source is None else self._close(node, module, source)
        if isinstance(module, (parts.IntegerConv2d, parts.IntegerLinear)):
            return self._product(node, module, source)
        if isinstance(module, (sums.Numbers, sums.CodeSum)):
            return self._sums(node, module, source)
        if isinstance(module, sums.IntegerAdd):
            return self._add(node, module, sources)
        if isinstance(module, parts.CodePool):
            return self._pool(str(node), module.pool, source)
        if source is None:
            return None
        return self._flatten(node, module, source) if isinstance(source, _Stored) else self._between(node, module)

    def _product(self, node: fx.Node, module: Any, source: Any) -> _Open:
        from nasplug_darts_lp.folding.modules import WEIGHT_ZERO, IntegerLinear

        if not isinstance(source, _Stored):
            raise _refused(str(node), "its inputs are not codes", "a comparison must stand in front of it")
        name = str(node).removesuffix("_product")
        numbers = module.weight.to(int_type()).numpy() - WEIGHT_ZERO
        settings: dict[str, Any] = {}
        if isinstance(module, IntegerLinear):
            weights = numbers.T.reshape(numbers.shape[1], *source.shape)
        else:
            if module.stride[0] != module.stride[1] or module.dilation[0] != module.dilation[1]:
                raise _refused(str(node), "its strides or dilations differ", "the machine has one for both sides")
            top, left, bottom, right = module.padding
            settings = {"stride": module.stride[0], "dilation": module.dilation[0], "groups": module.groups}
            settings["padding"] = (top, left, bottom, right)
            weights = numbers
        bits = _width(int(weights.min()), int(weights.max()), signed=True) if self.narrow else 8
        kernel = (weights.shape[2], weights.shape[3])
        return _Open(name, str(node), Layer(name, kernel, weights, bits, **settings), source)

    def _sums(self, node: fx.Node, module: Any, source: Any) -> _Open:
        """Codes of a whole map as numbers, or sums of them over windows."""
        from nasplug_darts_lp.folding.sums import CodeSum

        if not isinstance(source, _Stored):
            raise _refused(str(node), "its inputs are not codes", "a comparison must stand in front of it")
        channels, more = source.shape[0], source.less - module.zero
        if not isinstance(module, CodeSum):
            return _Open("", str(node), window_sums(str(node), channels), source, more)
        window = module.window
        if window.stride[0] != window.stride[1]:
            raise _refused(str(node), "its strides differ", "the machine has one for both sides")
        if any(window.padding) and more:
            raise _refused(str(node), "an average pool of padded codes", "padding is not the code that stands for 0")
        top, left = window.padding
        settings = {"stride": window.stride[0], "padding": (top, left, top, left)}
        layer = window_sums(str(node), channels, window.kernel, **settings)
        return _Open("", str(node), layer, source, window.places * more)

    def _add(self, node: fx.Node, module: Any, sources: list[Any]) -> _Stored:
        if len(sources) == 1:  # a map is added to itself
            sources = sources * 2
        first, second = sources
        if not isinstance(first, _Stored) or not isinstance(second, _Stored) or first.shape != second.shape:
            raise _refused(str(node), "a sum of maps of two sizes, or not of codes", "both are read in one pass")
        more = sum(
            factor * (source.less - zero)
            for factor, source, zero in zip(module.factors, (first, second), module.zeros, strict=True)
        )
        ones = np.ones(first.shape[0], dtype=np.int64)
        offset = more * module.factor + ((1 << module.shift) >> 1) + (module.out_zero << module.shift)
        none = np.zeros((len(ones), 0), dtype=np.int64)
        ends = 0 * ones, module.steps * ones
        rule = Line(module.factor * ones, offset * ones, module.shift * ones, *ends, none, none)
        factors = (module.factors[0], module.factors[1])
        layer = addition(str(node), len(ones), factors, Coded(rule, 8, True, MIDDLE))
        numbers = first.layer, second.layer
        return self._added(layer, numbers, first.shape, str(node), MIDDLE, (-MIDDLE, module.steps - MIDDLE))

    def _between(self, node: fx.Node, module: nn.Module | None) -> _Open:
        """Something between sums and a comparison."""
        from nasplug_darts_lp.folding.modules import Rescale
        from torch import nn

        found = self.seen[node.all_input_nodes[0]]
        assert isinstance(found, _Open)
        parts = list(module) if isinstance(module, nn.Sequential) else [module]
        for part in parts:
            if isinstance(part, nn.MaxPool2d):
                found = replace(found, pools=(*found.pools, part))
            elif isinstance(part, Rescale):
                if found.pools and bool((part.scale < 0).any()):
                    raise _refused(str(node), "it falls behind a max pool", "the largest code would be another")
                found = replace(found, functions=(*found.functions, part))
            elif isinstance(part, (nn.ReLU, nn.ReLU6, nn.Hardtanh)):
                found = replace(found, functions=(*found.functions, part))
            elif not isinstance(part, (nn.Identity, nn.Dropout, nn.Dropout2d)):
                found = self._function(node, part, found)
        return found

    def _function(self, node: fx.Node, module: nn.Module | None, found: _Open) -> _Open:
        import torch
        from torch.nn import functional

        if node.target in (torch.relu, functional.relu, "relu", functional.relu6):
            function = functional.relu6 if node.target is functional.relu6 else functional.relu
            return replace(found, functions=(*found.functions, function))
        return self._flatten(node, module, found)  # type: ignore[return-value]

    def _flatten(self, node: fx.Node, module: nn.Module | None, source: _Stored | _Open) -> _Stored | _Open:
        import torch
        from torch import nn

        if isinstance(module, nn.Flatten) or node.target in (torch.flatten, "flatten"):
            return source
        if isinstance(module, (nn.Identity, nn.Dropout)):
            return source
        what = type(module).__name__ if module is not None else getattr(node.target, "__name__", str(node.target))
        raise _refused(str(node), f"the machine has no {what}", "it computes products, comparisons, pools and sums")

    def _pool(self, node: str, pool: Any, source: Any, stage: tuple[str, int] | None = None) -> _Stored:
        if not isinstance(source, _Stored):
            raise _refused(node, "its inputs are not codes", "a comparison must stand in front of it")
        k, s, p, d = (_one(getattr(pool, name), node) for name in ("kernel_size", "stride", "padding", "dilation"))
        if getattr(pool, "ceil_mode", False):
            raise _refused(node, "a max pool with ceil_mode", "windows would end outside of the map")
        layer = Layer(node, (k, k), stride=s, padding=(p, p, p, p), dilation=d)
        name, less = stage or (node, source.less)
        return self._added(layer, (source.layer,), source.shape, name, less, source.range)

    def _added(
        self,
        layer: Layer,
        sources: tuple[int, ...],
        shape: tuple[int, int, int],
        node: str,
        less: int,
        limits: tuple[int, int],
    ) -> _Stored:
        names = {other.name for other in self.chain.layers}
        while layer.name in names:
            layer = replace(layer, name=f"{layer.name}_again")
        self.chain.layers.append(layer)
        self.chain.sources.append(sources)
        self.chain.stages.append((node, less))
        size = layer.out_size(*shape[1:])
        return _Stored(len(self.chain.layers) - 1, (layer.out_channels(shape[0]), *size), limits, less)

    def _end(self, found: _Open) -> None:
        """Sums stay as they are at the end."""
        source = found.source
        self.ended.add(found.node)
        self._added(found.layer, (source.layer,), source.shape, found.node, 0, (0, 0))

    def _close(self, node: fx.Node, comparison: Any, found: _Stored | _Open) -> _Stored:
        """Sums become codes."""
        if isinstance(found, _Stored):
            raise _refused(str(node), "codes are compared again", "a product must stand between")
        source, layer = found.source, found.layer
        assert layer.weights is not None
        size = int(np.abs(layer.weights).sum(axis=(1, 2, 3)).max())
        bound = size * max(map(abs, source.range))
        coded, signs, limits = self._coded(node, found, comparison, bound)
        weights = layer.weights * signs[:, None, None, None]
        layer = replace(layer, name=found.name or str(node), weights=weights, coded=coded)
        self.closed.add(found.node)
        stage = "" if found.pools else str(node)
        stored = self._added(layer, (source.layer,), source.shape, stage, coded.zero, limits)
        for number, pool in enumerate(found.pools):  # the folded network pools values, and has no codes before
            last = number + 1 == len(found.pools)
            stage = str(node) if last else ""
            stored = self._pool(str(node) if last else f"{node}_pool_{number}", pool, stored, (stage, coded.zero))
        return stored

    def _first(self, node: fx.Node, comparison: Any) -> _Stored:
        if self.chain.first[0]:
            raise _refused(str(node), "the input is coded twice", "the machine reads one map")
        less, _ = self._less(node, comparison)
        self.chain.first = (str(node), less)
        channels, height, width = (*self.folded.input_shape, 1, 1)[:3]
        self.chain.shape = (channels, height, width)
        low, high = self._limits(comparison, less)
        self.chain.bits = _width(low, high, signed=low < 0) if self.narrow else 8
        self.chain.signed = low < 0
        return _Stored(-1, self.chain.shape, (low, high), less)

    def _less(self, node: fx.Node, comparison: Any) -> tuple[int, int]:
        """What codes are stored less, and codes per level: as their readers ask."""
        from nasplug_darts_lp.folding import modules as parts
        from nasplug_darts_lp.folding import sums

        wanted: set[int] = set()
        left = list(node.users)
        while left:
            reader = left.pop()
            part = self.modules.get(str(reader.target)) if reader.op == "call_module" else None
            if isinstance(part, (parts.IntegerConv2d, parts.IntegerLinear)):
                wanted.add(int(part.zero))
            elif isinstance(part, (sums.IntegerAdd, sums.Numbers, sums.CodeSum)):
                wanted.add(MIDDLE)
            else:
                left += list(reader.users)
        if len(wanted) != 1:
            why = (
                "a product or a sum of codes must follow" if not wanted else "products and sums store them differently"
            )
            raise _refused(str(node), f"{'nobody reads' if not wanted else 'too many read'} its codes", why)
        return wanted.pop(), int(comparison.factor)

    def _limits(self, comparison: Any, less: int) -> tuple[int, int]:
        steps = getattr(comparison, "steps", None)
        levels = int(steps) if steps is not None else int(comparison.thresholds.shape[1])
        return -less, levels * int(comparison.factor) - less

    def _coded(self, node: fx.Node, found: _Open, comparison: Any, bound: int) -> tuple[Coded, Ints, tuple[int, int]]:
        import torch
        from nasplug_darts_lp.folding.thresholds import integer_thresholds

        name = found.name or str(node)
        less, factor = self._less(node, comparison)
        limits = self._limits(comparison, less)
        levels = (limits[1] - limits[0]) // factor
        assert found.layer.weights is not None
        channels = len(found.layer.weights)
        thresholds = getattr(comparison, "thresholds", None)
        own = thresholds is not None and thresholds.ndim == 2 and len(thresholds) not in (1, channels)
        if own and not comparison.integer:
            raise _refused(name, "a threshold for every feature behind it", "quantise with `fixed`, `lsq` or `pact`")

        def codes(sums: Tensor) -> Tensor:
            numbers = (sums + found.more).reshape(*sums.shape, 1, 1)
            if comparison.integer:
                return comparison(numbers.to(torch.int32)).reshape(sums.shape).to(torch.float32)  # type: ignore[no-any-return]
            for function in found.functions:
                numbers = function(numbers)
            return comparison(numbers.to(torch.float32)).reshape(sums.shape).to(torch.float32)  # type: ignore[no-any-return]

        wanted = (torch.arange(1, levels + 1) * factor).to(torch.float32).expand(channels, levels)
        reached, signs = integer_thresholds(codes, wanted, bound)
        signed = limits[0] < 0
        bits = _width(*limits, signed=signed) if self.narrow else 8
        flips, few = signs.numpy().astype(np.int64), levels <= RECORD
        rule = Steps(reached.numpy().astype(np.int64)) if few else _line(name, reached, bound)
        return Coded(rule, bits, signed, less, factor == 2), flips, limits


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
