"""Segments of a network: the units that matter for what was learned, and how they stay as they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from nasplug_cgap.learners.layers import Layer

Score = Literal["grad_w", "abs_w", "abs_grad"]
#: What of the batch normalisation behind frozen units is frozen: nothing, scale and shift, or running statistics too.
Norms = Literal["free", "affine", "all"]
#: Chosen units of every layer, bool tensors (units,), by name of the layer.
Masks = dict[str, Tensor]


def unit_scores(network: nn.Module, layers: Iterable[Layer], score: Score, gradients: Mapping[str, Tensor]) -> Masks:
    """Returns the importance of every unit: the sum over its weights of |w| |g|, |w| or |g|.

    Args:
        network: Network with the trained weights.
        layers: Layers to score.
        score: Quantity to sum: `grad_w`, `abs_w` or `abs_grad`.
        gradients: Gradient of the weight of every layer by name, for the scores that need it.

    Returns:
        Float tensors (units,) by name of the layer.
    """
    scores: Masks = {}
    for layer in layers:
        weight = weight_of(network, layer.name).detach()
        values = torch.ones_like(weight) if score == "abs_grad" else weight.abs()
        if score != "abs_w":
            values = values * gradients[layer.name].abs()
        scores[layer.name] = values.flatten(1).sum(1)
    return scores


def important(scores: Mapping[str, Tensor], share: float, frozen: Mapping[str, Tensor]) -> Masks:
    """Returns the best units of every layer that are still free.

    Args:
        scores: Score of every unit, by name of the layer.
        share: Part of all units of a layer to take; at least one, as long as there is a free one.
        frozen: Units that are taken already, by name of the layer.

    Returns:
        Bool tensors (units,) by name of the layer.
    """
    masks: Masks = {}
    for name, values in scores.items():
        taken = frozen.get(name, torch.zeros(len(values), dtype=torch.bool, device=values.device))
        count = min(max(1, int(len(values) * share + 1e-9)), int((~taken).sum()))
        order = values.masked_fill(taken, -torch.inf).argsort(descending=True, stable=True)
        mask = torch.zeros_like(taken)
        mask[order[:count]] = True
        masks[name] = mask
    return masks


def union(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> Masks:
    """Returns the units that are in either of two segments of the same layers."""
    return {name: first[name] | mask if name in first else mask for name, mask in second.items()}


def complement(masks: Mapping[str, Tensor]) -> Masks:
    """Returns the units that are not chosen."""
    return {name: ~mask for name, mask in masks.items()}


def weight_of(network: nn.Module, name: str) -> Tensor:
    """Returns the weight of a layer, whose first dimension counts units."""
    weight = network.get_submodule(name).weight
    assert isinstance(weight, Tensor)
    return weight


_NORMS: Mapping[Norms, tuple[str, ...]] = {
    "free": (),
    "affine": ("weight", "bias"),
    "all": ("weight", "bias", "running_mean", "running_var"),
}


class Frozen:
    """Keeps units as they are, whatever an optimiser does: values are put back after every step.

    Momentum and weight decay act on frozen weights inside the step and are undone, so that weights, biases and what
    `norms` names stay identical bit by bit.

    Args:
        network: Network in training.
        layers: Layers that may have frozen units.
        masks: Frozen units, by name of the layer.
        norms: Parts of the batch normalisation behind a layer that are frozen with its units.
    """

    def __init__(self, network: nn.Module, layers: Iterable[Layer], masks: Mapping[str, Tensor], norms: Norms) -> None:
        self._kept: list[tuple[Tensor, Tensor, Tensor]] = []
        for layer in layers:
            mask = masks.get(layer.name)
            if mask is None or not mask.any():
                continue
            tensors = _tensors(network.get_submodule(layer.name), ("weight", "bias"))
            if layer.norm is not None:
                tensors += _tensors(network.get_submodule(layer.norm), _NORMS[norms])
            for tensor in tensors:
                index = mask.nonzero()[:, 0].to(tensor.device)
                self._kept.append((tensor, index, tensor.detach()[index].clone()))

    def restore(self) -> None:
        """Puts the frozen values back."""
        with torch.no_grad():
            for tensor, index, values in self._kept:
                tensor.index_copy_(0, index.to(tensor.device), values.to(tensor.device))


class Restoring:
    """Restores frozen units after every step. A mixin for the `Callback` of the Lightning at hand.

    Args:
        frozen: Units to restore.
    """

    def __init__(self, frozen: Frozen) -> None:
        super().__init__()
        self._frozen = frozen

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: object, batch: object, batch_idx: int) -> None:
        """Puts the frozen values back."""
        self._frozen.restore()


def reinitialise(network: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Draws new weights for chosen units: Kaiming's normal by fan-out for convolutions, N(0, 0.01) for linear layers.

    Args:
        network: Network, changed in place; biases of the units become 0.
        masks: Units, by name of the layer.
    """
    with torch.no_grad():
        for name, mask in masks.items():
            module: Any = network.get_submodule(name)
            fresh = torch.empty_like(module.weight)
            if isinstance(module, nn.Linear):
                nn.init.normal_(fresh, 0.0, 0.01)
            else:
                nn.init.kaiming_normal_(fresh, mode="fan_out", nonlinearity="relu")
            chosen = mask.to(fresh.device)
            module.weight[chosen] = fresh[chosen]
            if module.bias is not None:
                module.bias[chosen] = 0.0


def _tensors(module: nn.Module, names: tuple[str, ...]) -> list[Tensor]:
    return [tensor for name in names if isinstance(tensor := getattr(module, name, None), Tensor)]
