"""Turns a quantised network into whole-number convolutions and comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from nasplug.contract.errors import SpecError, TaskError
from nasplug_darts_lp.folding.chains import Chain, chain_to
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
from nasplug_darts_lp.folding.thresholds import integer_thresholds
from nasplug_darts_lp.folding.tracing import input_of, shape_of, trace
from nasplug_darts_lp.layers.exact import ExactBatchNorm2d, ExactBatchNormAct2d
from nasplug_darts_lp.layers.quantise import freeze, quantised_layers
from nasplug_darts_lp.layers.quantised import QuantConv2d, QuantLinear, rescaled


class FoldedNetwork(nn.Module):
    """A network of bytes: what `fold` makes.

    Args:
        body: The graph.
        input_shape: Shape of one input without the batch.
        products: Names of the whole-number products in `body` by the name of the layer they come from, one for each
            time the layer is used.

    Attributes:
        body, input_shape, products: Arguments, as given.
    """

    def __init__(self, body: fx.GraphModule, input_shape: tuple[int, ...], products: Mapping[str, list[str]]) -> None:
        super().__init__()
        self.body, self.input_shape, self.products = body, input_shape, products
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
    """Where values come from, and how."""

    node: fx.Node
    scale: Tensor
    bias: Tensor | None
    bound: int


def fold(network: nn.Module, input_shape: Sequence[int]) -> FoldedNetwork:
    """Folds convolution, normalisation, activation function and quantiser into integers.

    Every quantised layer becomes codes, that is comparisons with thresholds; a product of bytes with 32-bit sums; and
    where needed, a product and a sum that bring the sums back to values. Where all that lies between two layers is
    monotone for each channel, the comparisons are with integers; from 4 bits on a multiplication and a sum per channel
    take the place of the thresholds, with a list of the few accumulators where they would not give the same code, and
    channels with many of these keep their thresholds. Elsewhere, as behind the
    addition of a residual block, values are kept and compared: one scale and one shift before the comparison.

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
        layer = folding.layer(node)
        if layer is not None:
            folding.exchange(node, layer)
    for node in module.graph.nodes:
        folding.settle(node)
    module.graph.eliminate_dead_code()
    module.graph.lint()
    module.delete_all_unused_submodules()
    module.recompile()
    folded = FoldedNetwork(module, tuple(input_shape), folding.products)
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
        self.products: dict[str, list[str]] = {}

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
            chain = None if rows else chain_to(source, self._origins, self._modules)
            if chain is None:
                wanted = quantiser.static().thresholds.clone()
                codes = self._call(node, "rows", Rows(), source) if rows else source
                shared = bool((wanted == wanted[:1]).all())
                comparison: nn.Module = Thresholds(wanted[:1].clone() if shared else wanted, None, factor)
                if shared and EvenThresholds.even(wanted[0]):
                    comparison = EvenThresholds(wanted[0], factor)
                codes = self._call(node, "codes", comparison, codes)
            else:
                codes = self._compare_sums(node, chain, quantiser.static().thresholds, factor)
            sums = self._call(node, "product", product, codes)
            value = self._call(node, "rescale", Rescale(unit * scale, layer.bias), sums)
            largest = int(numbers.abs().flatten(1).sum(1, dtype=torch.int64).max())
            self._origins[value] = _Accumulator(sums, unit * scale, layer.bias, largest * quantiser.largest)
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

    def _compare_sums(self, node: fx.Node, chain: Chain, thresholds: Tensor, factor: int) -> fx.Node:
        """Codes from the accumulators of an earlier layer."""
        origin = self._origins[chain.origin]
        ones = [1] * (len(shape_of(chain.origin)) - 2)

        def value(sums: Tensor) -> Tensor:
            found = rescaled(sums.reshape(*sums.shape, *ones), origin.scale, origin.bias)
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
        return codes

    def _call(self, node: fx.Node, part: str, module: nn.Module, source: Any) -> fx.Node:
        name = f"{node.name}_{part}"
        self._module.add_submodule(name, module)
        self._modules[name] = module
        return self._graph.call_module(name, (source,))


def _thresholds(thresholds: Tensor, signs: Tensor, factor: int) -> Thresholds:
    return Thresholds(thresholds, None if bool((signs == 1).all()) else signs, factor)
