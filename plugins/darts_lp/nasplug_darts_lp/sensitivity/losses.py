"""How much the loss of a trained network rises when one layer has fewer bits: forward passes only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from nasplug.contract.errors import TrialError
from nasplug.evaluate.recalibration import silent, step
from nasplug_darts_lp.layers.calibration import settle

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule

    from nasplug_darts_lp.sensitivity.capability import Pair

#: Batches that set the ranges of a layer whose bits are changed.
RANGES = 2


def loss_of(pl_module: LightningModule, batch: Any, index: int) -> Tensor:
    """Returns the loss of the module's own `training_step`, without logging.

    Raises:
        TrialError: It gives none.
    """
    with silent(pl_module):
        answer = step(pl_module, batch, index)
    loss = answer.get("loss") if isinstance(answer, Mapping) else answer
    if not isinstance(loss, Tensor):
        raise TrialError(
            "error",
            f"training_step of {type(pl_module).__name__} returns no loss to measure sensitivities by",
            where="darts_lp.sensitivity",
            why=f"it answers {type(answer).__name__}",
            fix="return the loss, or a mapping with `loss`",
        )
    return loss


def harms(
    network: nn.Module,
    pl_module: LightningModule,
    batches: Sequence[Any],
    precisions: Mapping[str, Sequence[Pair]],
    layer_at: Callable[[str, Pair], nn.Module],
    told: Callable[[float], None],
) -> list[list[float]]:
    """Measures what the loss rises by, for every layer and pair alone, the others at their most bits.

    Args:
        network: Trained network in which every layer has its last pair; put back as it was.
        pl_module: Module that holds it, in inference mode.
        batches: Training batches.
        precisions: Pairs of every layer.
        layer_at: Function that makes a layer with a pair, ranges not set, with the weights of the network.
        told: Function that is told the done share.

    Returns:
        Rise >= 0 of the loss by layer and pair.
    """
    reference, found = mean_loss(pl_module, batches), []
    for number, (name, pairs) in enumerate(precisions.items()):
        told(number / len(precisions))
        parent, _, last = name.rpartition(".")
        own, rises = network.get_submodule(name), []
        for pair in pairs[:-1]:
            other = layer_at(name, pair)
            setattr(network.get_submodule(parent), last, other)
            settle(network, pl_module, batches[:RANGES], only=other)
            other.eval()
            rises.append(max(0.0, mean_loss(pl_module, batches) - reference))
        setattr(network.get_submodule(parent), last, own)
        found.append([*rises, 0.0])
    return found


@torch.no_grad()
def mean_loss(pl_module: LightningModule, batches: Sequence[Any]) -> float:
    """Mean loss over batches."""
    losses = [float(loss_of(pl_module, batch, index)) for index, batch in enumerate(batches)]
    return sum(losses) / len(losses)
