"""Fine-tuning: which parameters are the head, groups of parameters with rates of their own, a frozen backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn


def head_names(network: nn.Module) -> frozenset[str]:
    """Returns the names of the parameters that make the answers of a network.

    That is what `get_classifier()` returns, as timm's models have it, and otherwise the last module with parameters of
    its own.

    Args:
        network: The network; a timm model may stand inside it.
    """
    heads: list[nn.Module] = []
    for part in network.modules():
        classifier: Any = getattr(part, "get_classifier", None)
        if callable(classifier):
            found = classifier()
            heads = [head for head in (found if isinstance(found, (tuple, list)) else [found]) if _own(head)]
            break
    if not heads:
        leaves = [part for part in network.modules() if any(True for _ in part.parameters(recurse=False))]
        heads = leaves[-1:]
    inside = {id(parameter) for head in heads for parameter in head.parameters()}
    return frozenset(name for name, parameter in network.named_parameters() if id(parameter) in inside)


def parameter_groups(
    network: nn.Module,
    lr: float,
    weight_decay: float = 0.0,
    layer_decay: float = 1.0,
    head_factor: float = 1.0,
) -> list[dict[str, Any]]:
    """Returns groups for an optimiser: rates that fall from the head to the first layer, and a rate of the head.

    Layers are those that timm's `group_matcher` names. In other networks every module that has parameters of its own is
    a layer, in the order of their definition.

    Args:
        network: Network to train; frozen parameters are left out.
        lr: Learning rate of the backbone's last layer.
        weight_decay: Weight decay of all groups.
        layer_decay: Factor from each layer to the one before it, in (0, 1].
        head_factor: Factor of the head's rate.
    """
    head, layers = head_names(network), _layers(network)
    last = max((depth for name, depth in layers.items() if name not in head), default=0)
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            scale = head_factor if name in head else layer_decay ** max(0, last - layers[name])
            groups.setdefault(scale, []).append(parameter)
    return [
        {"params": parameters, "lr": lr * scale, "weight_decay": weight_decay} for scale, parameters in groups.items()
    ]


class Freezing:
    """Keeps the backbone of a network as it is in the first epochs, running statistics included.

    Args:
        network: Network to train.
        epochs: Number of epochs in which the head alone is trained.
    """

    def __init__(self, network: nn.Module, epochs: int) -> None:
        head = head_names(network)
        self.epochs = epochs
        self._backbone = [p for name, p in network.named_parameters() if p.requires_grad and name not in head]
        heads = {id(p) for name, p in network.named_parameters() if name in head}
        self._modules = [part for part in network.modules() if not any(id(p) in heads for p in part.parameters())]

    def start(self, epoch: int) -> None:
        """Freezes or releases the backbone.

        Args:
            epoch: Number of the epoch that starts, from 0.
        """
        if epoch <= self.epochs != 0:
            self._set(frozen=epoch < self.epochs)

    def end(self) -> None:
        """Releases the backbone."""
        for parameter in self._backbone:
            parameter.requires_grad_(True)

    def _set(self, *, frozen: bool) -> None:
        for parameter in self._backbone:
            parameter.requires_grad_(not frozen)
            if frozen:
                parameter.grad = None
        for part in self._modules:
            part.training = not frozen


def _layers(network: nn.Module) -> Mapping[str, int]:
    """Depth of every parameter, 0 at the input."""
    for prefix, part in network.named_modules():
        if callable(getattr(part, "group_matcher", None)):
            from timm.models import group_parameters

            start = f"{prefix}." if prefix else ""
            matched = group_parameters(part, part.group_matcher(coarse=False), reverse=True)
            found = {start + name: int(depth) for name, depth in matched.items()}
            around = {name: max(found.values()) for name, _ in network.named_parameters()}
            return {**around, **found}
    depths: dict[str, int] = {}
    owners: Sequence[tuple[str, nn.Module]] = list(network.named_modules())
    depth = 0
    for prefix, part in owners:
        own = [name for name, _ in part.named_parameters(prefix, recurse=False)]
        depths.update(dict.fromkeys(own, depth))
        depth += bool(own)
    return depths


def _own(module: object) -> bool:
    return isinstance(module, nn.Module) and any(True for _ in module.parameters())
