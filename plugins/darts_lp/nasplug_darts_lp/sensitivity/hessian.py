"""How much the loss of a trained network would rise by the curvature of its loss: HAWQ-V2's sensitivities."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from nasplug_darts_lp.layers.quantised import QuantConv2d, QuantLinear
from nasplug_darts_lp.sensitivity.losses import loss_of

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule

    from nasplug_darts_lp.sensitivity.capability import Pair


def harms(
    network: nn.Module,
    pl_module: LightningModule,
    batches: Sequence[Any],
    precisions: Mapping[str, Sequence[Pair]],
    layer_at: Callable[[str, Pair], nn.Module],
    told: Callable[[float], None],
) -> list[list[float]]:
    """Estimates what the loss rises by, for every layer and pair alone.

    Half of the mean curvature times the squared error of quantisation, summed over weights and inputs:

        harm = 1/2 tr(H_w)/n_w |Q(w) - w|^2 + 1/2 tr(H_x)/n_x |Q(x) - x|^2.

    Source: Dong et al., "HAWQ-V2", NeurIPS 2020, arXiv 1911.03852, equation 9; traces by Hutchinson's method, all
    layers in one double backward pass, since products between layers have the mean zero.

    Args:
        network: Trained network in floating point.
        pl_module: Module that holds it, in inference mode.
        batches: Training batches.
        precisions: Pairs of every layer.
        layer_at: Function that makes a layer with a pair, ranges not set, with the weights of the network.
        told: Function that is told the done share.

    Returns:
        Estimated rise >= 0 by layer and pair.
    """
    generator = torch.Generator().manual_seed(0)
    names = list(precisions)
    curved = {name: torch.zeros(2, dtype=torch.float64) for name in names}
    squared = {name: [[0.0, 0.0] for _ in pairs] for name, pairs in precisions.items()}
    for number, batch in enumerate(batches):
        told(number / len(batches))
        inputs, traces = _traces(network, pl_module, batch, number, names, generator)
        for name in names:
            curved[name] += torch.tensor(traces[name], dtype=torch.float64).clamp(min=0.0)
            for at, pair in enumerate(precisions[name]):
                for operand, error in enumerate(_errors(layer_at(name, pair), inputs[name])):
                    squared[name][at][operand] += error
    count = len(batches)
    return [
        [
            0.5 * sum(float(curved[name][i]) / count * error / count for i, error in enumerate(errors))
            for errors in squared[name]
        ]
        for name in names
    ]


def _traces(
    network: nn.Module,
    pl_module: LightningModule,
    batch: Any,
    index: int,
    names: Sequence[str],
    generator: torch.Generator,
) -> tuple[dict[str, Tensor], dict[str, list[float]]]:
    """Inputs of the layers, and the mean curvature of the loss along their weights and inputs."""
    inputs: dict[str, Tensor] = {}
    layers = {name: network.get_submodule(name) for name in names}

    def catcher(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...]]:
        def catch(layer: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            (values,) = arguments
            inputs[name] = values if values.requires_grad else values.detach().requires_grad_()
            return (inputs[name],)

        return catch

    handles = [layer.register_forward_pre_hook(catcher(name)) for name, layer in layers.items()]
    try:
        with torch.enable_grad():
            loss = loss_of(pl_module, batch, index)
            places: list[Any] = [layers[name].weight for name in names] + [inputs[name] for name in names]
            gradients = torch.autograd.grad(loss, places, create_graph=True)
            signs = [(2.0 * torch.randint(0, 2, place.shape, generator=generator) - 1.0).to(place) for place in places]
            along = torch.stack([(grad * sign).sum() for grad, sign in zip(gradients, signs, strict=True)]).sum()
            products = torch.autograd.grad(along, places, allow_unused=True)
    finally:
        for handle in handles:
            handle.remove()
    means = [
        0.0 if product is None else float((product * sign).mean())
        for product, sign in zip(products, signs, strict=True)
    ]
    traces = {name: [means[at], means[len(names) + at]] for at, name in enumerate(names)}
    return {name: value.detach() for name, value in inputs.items()}, traces


@torch.no_grad()
def _errors(layer: nn.Module, inputs: Tensor) -> tuple[float, float]:
    """Squared errors of the quantised weights and inputs of a layer."""
    assert isinstance(layer, (QuantConv2d, QuantLinear))
    layer.train()  # the batch sets the range
    weights = inner = 0.0
    if layer.weight_quantiser is not None:
        weights = float((layer.weight_quantiser(layer.weight) - layer.weight).square().sum())
    if layer.input_quantiser is not None:
        inner = float((layer.input_quantiser(inputs) - inputs).square().sum())
    return weights, inner
