"""Turns a quantised network into whole-number convolutions and comparisons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, fx, nn

from nasplug.contract.errors import SpecError, TaskError
from nasplug_darts_lp.folding.chains import Chain, chain_to, concatenated
from nasplug_darts_lp.folding.lines import line_through
from nasplug_darts_lp.folding.modules import (
    CodePool,
    EvenThresholds,
    IntegerConv2d,
    IntegerLinear,
    Requantise,
    Rescale,
    Rows,
    Thresholds,
)
from nasplug_darts_lp.folding.sums import CodeSum, Coding, IntegerAdd, Numbers, Values, window_of
from nasplug_darts_lp.folding.thresholds import integer_thresholds
from nasplug_darts_lp.folding.tracing import shape_of, trace
from nasplug_darts_lp.layers.exact import ExactAvgPool, ExactBatchNorm2d, ExactBatchNormAct2d
from nasplug_darts_lp.layers.graphs import input_of, is_relu
from nasplug_darts_lp.layers.quantise import freeze, quantised_layers
from nasplug_darts_lp.layers.quantised import QuantConv2d, QuantLinear, rescaled
from nasplug_darts_lp.layers.sums import IntegerSum
from nasplug_darts_lp.quantisers import ActivationQuantiser


class FoldedNetwork(nn.Module):
    """A network of bytes: what `fold` makes.

    Args:
        body: The graph.
        input_shape: Shape of one input without the batch.
        products: Names of the whole-number products in `body` by the name of the layer they come from, one for each
            time the layer is used.
        sums: Names of the additions of codes in `body` by the name of the sum they come from.

    Attributes:
        body, input_shape, products, sums: Arguments, as given.
    """

    def __init__(
        self,
        body: fx.GraphModule,
        input_shape: tuple[int, ...],
        products: Mapping[str, list[str]],
        sums: Mapping[str, list[str]] | None = None,
    ) -> None:
        super().__init__()
        self.body, self.input_shape, self.products, self.sums = body, input_shape, products, sums or {}
        self.eval().requires_grad_(False)

    def forward(self, inputs: Tensor) -> Tensor:
        """The outputs of the network that was folded, for (N, ...).

        Raises:
            TaskError: Inputs of another shape; padding may depend on it.
        """
        if tuple(inputs.shape[1:]) != self.input_shape:
            raise TaskError(
                f"an input of shape {tuple(inputs.shape[1:])} for a network folded for {self.input_shape}", where="fold"
            )
        outputs: Tensor = self.body(inputs)
        return outputs

    def train(self, mode: bool = True) -> FoldedNetwork:
        """Stays in inference mode: a folded network cannot be trained."""
        super().train(False)
        return self


@dataclass(frozen=True)
class _Accumulator:
    """Where values come from: whole numbers up to a bound, and what brings them to values (N, C, ...)."""

    node: fx.Node
    value: Callable[[Tensor], Tensor]
    bound: int


@dataclass(frozen=True)
class _Codes:
    """A map of codes of 8 bits."""

    node: fx.Node
    coding: Coding


def fold(network: nn.Module, input_shape: Sequence[int]) -> FoldedNetwork:
    """Folds convolution, normalisation, activation function and quantiser into integers.

    Every quantised layer becomes codes, that is comparisons with thresholds; a product of bytes with 32-bit sums; and
    where needed, a product and a sum that bring the sums back to values. Where all that lies between two layers is
    monotone for each channel, the comparisons are with integers; from 4 bits on a multiplication and a sum per channel
    take the place of the thresholds, with a list of the few accumulators where they would not give the same code, and
    channels with many of these keep their thresholds. Additions and average pools of codes (`quantise` with integer
    sums) stay whole numbers too. Elsewhere, as behind the addition of values of a residual block, values are kept and
    compared: one scale and one shift before the comparison.

    The result is that of the network in inference mode, exactly: the same codes and the same sums everywhere, and the
    same outputs to the last bit. Layers with products exact in no type (see `QuantConv2d.exact_type`) do not
    exist; a layer that was left in floating point runs as it is.

    Args:
        network: Quantised; not touched.
        input_shape: Shape of one input without the batch, such as (3, 32, 32).

    Raises:
        SpecError: No layer is quantised, sums need more than 32 bits, or torch.fx cannot follow the network.
        TaskError: It does, and the graph computes something else on random inputs.
    """
    frozen = freeze(network).cpu()
    if not any(layer.integer for layer in quantised_layers(frozen).values()):
        raise SpecError(
            f"{type(network).__name__} does not have a layer with quantised input and weights",
            where="fold",
            fix="quantise it first: nasplug_darts_lp.layers.quantise.quantise(network)",
        )
    module = trace(frozen, input_shape)
    folding = _Folding(module)
    for node in list(module.graph.nodes):
        folding.visit(node)
    for node in module.graph.nodes:
        folding.settle(node)
    module.graph.eliminate_dead_code()
    module.graph.lint()
    module.delete_all_unused_submodules()
    module.recompile()
    folded = FoldedNetwork(module, tuple(input_shape), folding.products, folding.sums)
    inputs = torch.randn(2, *input_shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        same = torch.equal(folded(inputs), frozen(inputs))
    if not same:
        raise TaskError(
            f"{type(network).__name__} computes something else than its graph",
            where="fold",
            why="torch.fx does not see branches, nor that `+=` changes a tensor that has another name as well",
            fix="write `a = a + b` instead of `a += b`",
        )
    return folded


class _Folding:
    """The graph while it is rewritten, first layer first."""

    def __init__(self, module: fx.GraphModule) -> None:
        self._module, self._graph = module, module.graph
        self._modules: dict[str, nn.Module] = dict(module.named_modules(remove_duplicate=False))
        self._origins: dict[fx.Node, _Accumulator] = {}
        self._coded: dict[fx.Node, _Codes] = {}
        self.products: dict[str, list[str]] = {}
        self.sums: dict[str, list[str]] = {}

    def visit(self, node: fx.Node) -> None:
        """Puts whole numbers in the place of a node, if it has them."""
        layer = self.layer(node)
        module = self._modules.get(str(node.target)) if node.op == "call_module" else None
        if layer is not None:
            self.exchange(node, layer)
        elif isinstance(module, ActivationQuantiser) and module.enabled:
            self._map(node, module)
        elif isinstance(module, IntegerSum) and module.output.enabled:
            self._sum(node, module)
        elif isinstance(module, ExactAvgPool):
            self._average(node, module)

    def layer(self, node: fx.Node) -> QuantConv2d | QuantLinear | None:
        """The layer of integers that a node calls."""
        found = self._modules[str(node.target)] if node.op == "call_module" else None
        return found if isinstance(found, (QuantConv2d, QuantLinear)) and found.integer else None

    def exchange(self, node: fx.Node, layer: QuantConv2d | QuantLinear) -> None:
        """Puts comparisons, product and scale in the place of a layer."""
        quantiser, weights = layer.input_quantiser, layer.weight_quantiser
        assert quantiser is not None
        assert weights is not None
        factor = int(quantiser.code_factor())
        zero = int(factor * quantiser.zero_level())
        source = input_of(node)
        product: nn.Module
        if isinstance(layer, QuantConv2d):
            product = IntegerConv2d(layer, zero, shape_of(source)[2:])
        else:
            product = IntegerLinear(layer, zero)
        numbers, scale = weights.integers(layer.weight)
        unit = quantiser.static().step[0] / factor
        rows = isinstance(layer, QuantLinear) and len(shape_of(source)) > 2
        with self._graph.inserting_before(node):
            if rows:
                read = self._call(node, "rows", Rows(), source)
                codes = self._compare_values(node, read, quantiser.static().thresholds, factor)
            else:
                codes = self._codes(node, source, quantiser.static().thresholds, factor)
            sums = self._call(node, "product", product, codes)
            value = self._call(node, "rescale", Rescale(unit * scale, layer.bias), sums)
            largest = int(numbers.abs().flatten(1).sum(1, dtype=torch.int64).max())
            scaled = partial(rescaled, scale=unit * scale, bias=layer.bias)
            self._origins[value] = _Accumulator(sums, scaled, largest * quantiser.largest)
            if rows:
                value = self._graph.call_method("unflatten", (value, 0, (-1, *shape_of(source)[1:-1])))
        value.meta.update(node.meta)
        node.replace_all_uses_with(value)
        self._graph.erase_node(node)
        self.products.setdefault(str(node.target), []).append(f"{node.name}_product")

    def settle(self, node: fx.Node) -> None:
        """Normalisation that could not be folded, as in front of an addition, becomes the scale and shift it is."""
        module = self._modules[str(node.target)] if node.op == "call_module" else None
        if not isinstance(module, ExactBatchNorm2d):
            return
        scale_and_shift: nn.Module = Rescale(*module.affine_map())
        if isinstance(module, ExactBatchNormAct2d):
            scale_and_shift = nn.Sequential(scale_and_shift, module.drop, module.act)
        name = f"{node.name}_shift"
        self._module.add_submodule(name, scale_and_shift)
        node.target = name

    def _map(self, node: fx.Node, quantiser: ActivationQuantiser) -> None:
        """Codes of a whole map in the place of its quantiser."""
        levels = quantiser.static()
        factor = int(quantiser.code_factor())
        coding = Coding(levels.step[0] / factor, int(factor * quantiser.zero_level()), factor * quantiser.steps)
        source = input_of(node)
        with self._graph.inserting_before(node):
            codes = self._codes(node, source, levels.thresholds.expand(shape_of(source)[1], -1), factor)
            self._exchanged(node, codes, coding)

    def _sum(self, node: fx.Node, module: IntegerSum) -> None:
        """Adds codes, if both branches have them."""
        with self._graph.inserting_before(node):
            branches = [branch for branch in node.args[:2] if isinstance(branch, fx.Node)]
            first, second = (self._coded_map(node, branch) for branch in branches)
            if first is None or second is None:
                return
            output = module.output
            out = Coding(output.static().step[0], int(output.zero_level()), output.steps)
            numbers = module.ratio(first.coding.unit, second.coding.unit)
            added = IntegerAdd(numbers, first.coding, second.coding, out)
            codes = self._call(node, "added", added, first.node, second.node)
            self.sums.setdefault(str(node.target), []).append(str(codes.target))
            self._exchanged(node, codes, out)

    def _exchanged(self, node: fx.Node, codes: fx.Node, coding: Coding) -> None:
        """Puts codes in the place of a node, and their values where something else than comparisons reads it."""
        value = self._call(node, "values", Values(coding), codes)
        numbers = self._call(node, "numbers", Numbers(coding.zero), codes)
        value.meta.update(node.meta)
        unit = coding.unit
        bound = max(coding.zero, coding.steps - coding.zero)
        self._origins[value] = _Accumulator(numbers, lambda found: found.to(torch.float32) * unit, bound)
        self._coded[value] = _Codes(codes, coding)
        node.replace_all_uses_with(value)
        self._graph.erase_node(node)

    def _average(self, node: fx.Node, module: ExactAvgPool) -> None:
        """Sums the codes of windows, if what is averaged has codes."""
        source = input_of(node)
        shape = shape_of(source)
        window = window_of(module, shape[2:])
        with self._graph.inserting_before(node):
            found = self._coded_map(node, source) if window is not None and len(shape) == 4 else None
            if found is None or window is None:
                return
            coding = found.coding
            sums = self._call(node, "sums", CodeSum(window, shape[1], coding.zero), found.node)
        bound = window.places * max(coding.zero, coding.steps - coding.zero)
        self._origins[node] = _Accumulator(sums, partial(window.mean, unit=coding.unit), bound)

    def _coded_map(self, node: fx.Node, source: fx.Node) -> _Codes | None:
        """Codes of what a node reads, through what leaves them codes; None if it has none."""
        pools: list[nn.Module] = []
        relu = False
        while source not in self._coded:
            module = self._modules.get(str(source.target)) if source.op == "call_module" else None
            if isinstance(module, nn.MaxPool2d) and not module.return_indices:
                pools.append(module)
            elif is_relu(source, module):
                relu = True
            elif type(module) not in (nn.Identity, nn.Dropout, nn.Dropout2d):
                return None
            source = input_of(source)
            if not isinstance(source, fx.Node):
                return None
        found = self._coded[source]
        if relu and found.coding.zero:
            return None
        codes = found.node
        for index, pool in enumerate(reversed(pools)):
            codes = self._call(node, f"of_{source.name}_{index}", CodePool(pool), codes)
        return _Codes(codes, found.coding)

    def _codes(self, node: fx.Node, source: fx.Node, thresholds: Tensor, factor: int) -> fx.Node:
        """Codes from accumulators where all in between is monotone, else from values."""
        if parts := concatenated(source):
            sizes = [shape_of(part)[1] for part in parts]
            chains = [chain_to(part, self._origins, self._modules) for part in parts]
            if all(chain is not None for chain in chains):
                codes = [
                    self._codes(node, part, own, factor)
                    for part, own in zip(parts, torch.split(thresholds, sizes), strict=True)
                ]
                return self._graph.call_function(torch.cat, (codes, 1))
        chain = chain_to(source, self._origins, self._modules)
        own = None if chain is None else _by_channel(thresholds, shape_of(chain.origin)[1])
        if chain is None or own is None:
            return self._compare_values(node, source, thresholds, factor)
        return self._compare_sums(node, chain, own, factor)

    def _compare_values(self, node: fx.Node, source: fx.Node, thresholds: Tensor, factor: int) -> fx.Node:
        wanted = thresholds.clone()
        shared = bool((wanted == wanted[:1]).all())
        comparison: nn.Module = Thresholds(wanted[:1].clone() if shared else wanted, None, factor)
        if shared and EvenThresholds.even(wanted[0]):
            comparison = EvenThresholds(wanted[0], factor)
        return self._call(node, "codes", comparison, source)

    def _compare_sums(self, node: fx.Node, chain: Chain, thresholds: Tensor, factor: int) -> fx.Node:
        """Codes from the accumulators of an earlier layer."""
        origin = self._origins[chain.origin]
        ones = [1] * (len(shape_of(chain.origin)) - 2)

        def value(sums: Tensor) -> Tensor:
            found = origin.value(sums.reshape(*sums.shape, *ones))
            for function in chain.functions:
                found = function(found)
            return found.reshape(sums.shape)

        wanted, signs = integer_thresholds(value, thresholds, origin.bound)
        line = line_through(wanted, origin.bound)
        comparison: nn.Module = _thresholds(wanted, signs, factor)
        if line is not None:
            signed = line._replace(slope=signs * line.slope, at=signs[:, None] * line.at)
            rest = _thresholds(wanted[line.bent], signs[line.bent], factor) if bool(line.bent.any()) else None
            comparison = Requantise(signed, wanted.shape[1], factor, rest)
        codes = self._call(node, "codes", comparison, origin.node)
        for index, pool in enumerate(chain.pools):
            codes = self._call(node, f"pool{index}", CodePool(pool), codes)
        return self._call(node, "flat", nn.Flatten(), codes) if chain.flat else codes

    def _call(self, node: fx.Node, part: str, module: nn.Module, *sources: fx.Node) -> fx.Node:
        name = f"{node.name}_{part}"
        while name in self._modules:
            name += "_"
        self._module.add_submodule(name, module)
        self._modules[name] = module
        return self._graph.call_module(name, sources)


def _by_channel(thresholds: Tensor, channels: int) -> Tensor | None:
    """Thresholds (C, L) of thresholds of features (C H W, L), or None if they differ inside of a channel."""
    if len(thresholds) == channels:
        return thresholds
    if len(thresholds) % channels:
        return None
    each = thresholds.reshape(channels, -1, thresholds.shape[1])
    return each[:, 0].contiguous() if bool((each == each[:, :1]).all()) else None


def _thresholds(thresholds: Tensor, signs: Tensor, factor: int) -> Thresholds:
    return Thresholds(thresholds, None if bool((signs == 1).all()) else signs, factor)
