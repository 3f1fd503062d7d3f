"""The flow through a network without its nonlinearity."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nasplug_zerocost.batch import Batch
from nasplug_zerocost.proxies.gradients import weights_of


def synflow(network: nn.Module, batch: Batch) -> float:
    """Logarithm of the sum of w dR/dw, R being the output for ones if all weights are their absolute values.

    Source: Tanaka, Kunin, Yamins and Ganguli, "Pruning Neural Networks without Any Data by Iteratively Conserving
    Synaptic Flow", NeurIPS 2020, equation 2; as a proxy by Abdelfattah et al., ICLR 2021. Batch normalisation is passed
    by, as its statistics would undo the scale; numbers are double. The logarithm keeps deep networks finite and changes
    no order.

    Args:
        network: Network, changed by it.
        batch: Inputs, of which shapes count; integers stay as they are.
    """
    network = network.double().eval()
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.is_floating_point():
                tensor.abs_()
    handles = [m.register_forward_hook(_pass_by) for m in network.modules() if isinstance(m, _BatchNorm)]
    try:
        args = tuple(_ones(x) for x in batch.args)
        output = Batch(args, {name: _ones(x) for name, x in batch.kwargs.items()}).output(network)
    finally:
        for handle in handles:
            handle.remove()
    weights = weights_of(network)
    gradients = torch.autograd.grad(output.sum(), weights, allow_unused=True)
    total = sum(float((w.detach() * g).abs().sum()) for w, g in zip(weights, gradients, strict=True) if g is not None)
    return math.log(max(total, 1e-300))


def _ones(x: Tensor) -> Tensor:
    return torch.ones_like(x[:1], dtype=torch.float64) if x.is_floating_point() else x[:1]


def _pass_by(_: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return given[0]
