"""Compares a folded network with the one it came from, integer by integer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nasplug_darts_lp.folding.fold import FoldedNetwork
from nasplug_darts_lp.layers.quantise import quantised_layers
from nasplug_darts_lp.layers.quantised import QuantConv2d, QuantLinear
from nasplug_darts_lp.layers.sums import IntegerSum


@dataclass(frozen=True)
class Agreement:
    """What a comparison found.

    Attributes:
        integers: Codes and accumulators that were compared.
        differing: Number of codes that differ.
        outputs: Numbers of the output that were compared.
        differing_outputs: Number of outputs that are not the same number.
    """

    integers: int
    differing: int
    outputs: int
    differing_outputs: int

    @property
    def exact(self) -> bool:
        """Whether nothing differs, and something was compared."""
        return self.integers > 0 and self.differing == 0 and self.differing_outputs == 0


@torch.no_grad()
def agreement(network: nn.Module, folded: FoldedNetwork, inputs: Tensor) -> Agreement:
    """Runs both on the same inputs.

    Args:
        network: Network that was folded; runs in inference mode and is left in it.
        folded: Folded form of the network.
        inputs: (N, ...), on the CPU.
    """
    here: dict[str, list[Tensor]] = {}
    there: dict[str, list[Tensor]] = {}
    handles = []

    def of_layer(name: str) -> Callable[..., None]:
        def look(layer: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> None:
            assert isinstance(layer, (QuantConv2d, QuantLinear))
            values = arguments[0]
            rows = values.reshape(-1, values.shape[-1]) if isinstance(layer, QuantLinear) else values
            codes, sums, _ = layer.accumulate(rows)
            here.setdefault(name, []).extend([codes, sums])

        return look

    def of_product(name: str) -> Callable[..., None]:
        def look(product: Any, arguments: tuple[Any, ...], output: Tensor) -> None:
            there.setdefault(name, []).extend([arguments[0].to(torch.int64) - product.zero, output])

        return look

    def of_sum(name: str) -> Callable[..., None]:
        def look(total: nn.Module, arguments: object, output: Tensor) -> None:
            assert isinstance(total, IntegerSum)
            unit = total.output.static().step[0]
            here.setdefault(name, []).append((output / unit + total.output.zero_level()).round())

        return look

    def of_added(name: str) -> Callable[..., None]:
        def look(added: nn.Module, arguments: object, output: Tensor) -> None:
            there.setdefault(name, []).append(output)

        return look

    for name, total in network.named_modules():
        if isinstance(total, IntegerSum) and name in folded.sums:
            handles.append(total.register_forward_hook(of_sum(name)))
    for name, uses in folded.sums.items():
        handles += [folded.body.get_submodule(use).register_forward_hook(of_added(name)) for use in uses]
    for name, layer in quantised_layers(network).items():
        if layer.integer:
            handles.append(layer.register_forward_hook(of_layer(name)))
    for name, uses in folded.products.items():
        handles += [folded.body.get_submodule(use).register_forward_hook(of_product(name)) for use in uses]
    try:
        expected, found = network.eval()(inputs), folded(inputs)
    finally:
        for handle in handles:
            handle.remove()
    compared = differing = 0
    for name, numbers in here.items():
        for first, second in zip(numbers, there[name], strict=True):
            compared += first.numel()
            differing += int((first.to(torch.int64) != second.to(torch.int64)).sum())
    return Agreement(compared, differing, expected.numel(), int((expected != found).sum()))
