"""Weights and the gradients of the loss of one batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nasplug_zerocost.batch import Batch

#: Layers whose weights, and whose outputs, count.
_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


def weights_of(network: nn.Module) -> list[Tensor]:
    """Weights of convolutional and linear layers, without biases, those that are shared once."""
    found = {id(m.weight): m.weight for m in network.modules() if isinstance(m, _LAYERS) and m.weight.requires_grad}
    return list(found.values())


def _gradients(network: nn.Module, batch: Batch, *, graph: bool = False) -> tuple[list[Tensor], list[Tensor]]:
    weights = weights_of(network)
    loss = batch.loss(batch.output(network))
    found = torch.autograd.grad(loss, weights, create_graph=graph, allow_unused=True)
    pairs = [(w, g) for w, g in zip(weights, found, strict=True) if g is not None]
    return [w for w, _ in pairs], [g for _, g in pairs]


def _sum(parts: list[Tensor]) -> float:
    return float(sum(part.detach().double().sum() for part in parts))


def snip(network: nn.Module, batch: Batch) -> float:
    """Sum of |w g|: how much the loss would change, to first order, if weights were taken away one by one.

    Source: Lee, Ajanthan and Torr, "SNIP: Single-Shot Network Pruning Based on Connection Sensitivity", ICLR 2019; as a
    proxy by Abdelfattah, Mehrotra, Dudziak and Lane, "Zero-Cost Proxies for Lightweight NAS", ICLR 2021.
    """
    weights, gradients = _gradients(network, batch)
    return _sum([(w * g).abs() for w, g in zip(weights, gradients, strict=True)])


def plain(network: nn.Module, batch: Batch) -> float:
    """Sum of w g, with its sign (Abdelfattah et al., ICLR 2021)."""
    weights, gradients = _gradients(network, batch)
    return _sum([w * g for w, g in zip(weights, gradients, strict=True)])


def grad_norm(network: nn.Module, batch: Batch) -> float:
    """Sum over layers of the Euclidean norm of the gradient (Abdelfattah et al., ICLR 2021)."""
    _, gradients = _gradients(network, batch)
    return _sum([g.double().norm() for g in gradients])


def l2_norm(network: nn.Module, batch: Batch) -> float:
    """Sum over layers of the Euclidean norm of the weights (Abdelfattah et al., ICLR 2021); no input is needed."""
    return _sum([w.detach().double().norm() for w in weights_of(network)])


def grasp(network: nn.Module, batch: Batch) -> float:
    """Sum of -w (H g): the gradient's flow that weights keep, H being the Hessian of the loss.

    Source: Wang, Zhang and Grosse, "Picking Winning Tickets Before Training by Preserving Gradient Flow", ICLR 2020,
    equation 8.
    """
    weights, gradients = _gradients(network, batch, graph=True)
    flow = sum((g.detach() * g).sum() for g in gradients)
    assert isinstance(flow, Tensor)
    found = torch.autograd.grad(flow, weights, allow_unused=True)
    return _sum([-(w * h) for w, h in zip(weights, found, strict=True) if h is not None])


def fisher(network: nn.Module, batch: Batch) -> float:
    """Sum over channels of half the mean square, over samples, of the sum over positions of a dL/da.

    Source: Turner, Crowley, O'Boyle, Storkey and Gray, "BlockSwap: Fisher-Guided Block Substitution for Network
    Compression on a Budget", ICLR 2020, equation 3; a are the outputs of convolutional and linear layers. The loss is
    that of the whole batch, so that gradients are those of its mean.
    """
    outputs: list[Tensor] = []

    def keep(_: nn.Module, __: object, output: Tensor) -> None:
        if output.requires_grad:
            outputs.append(output)

    handles = [m.register_forward_hook(keep) for m in network.modules() if isinstance(m, _LAYERS)]
    try:
        loss = batch.loss(batch.output(network))
        gradients = torch.autograd.grad(loss, outputs, allow_unused=True)
    finally:
        for handle in handles:
            handle.remove()
    total = 0.0
    for a, g in zip(outputs, gradients, strict=True):
        if g is not None:
            product = (a * g).detach().double()
            total += (
                float(0.5 * product.flatten(2).sum(2).square().mean(0).sum())
                if a.ndim > 2
                else float(0.5 * product.square().mean(0).sum())
            )
    return total
