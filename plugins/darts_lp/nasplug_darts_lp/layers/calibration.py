"""Ranges of a quantised network before a score without training, measured on training batches."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from nasplug.evaluate.recalibration import silent, step
from nasplug.run.seeding import undisturbed
from nasplug_darts_lp.layers.quantise import calibrated_parts, quantised_layers
from nasplug_darts_lp.layers.sums import MapQuantiser

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytorch_lightning import LightningModule, Trainer


class Calibration:
    """Mixin of a Lightning callback that sets the ranges of a network that is scored and not trained.

    In a training, the first batch sets them.

    Args:
        network: Quantised network inside the module.
        batches: Number of training batches.
    """

    def __init__(self, network: nn.Module, batches: int) -> None:
        super().__init__()
        self.network, self.batches = network, batches

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measures before a score without training."""
        if trainer.state.fn != "validate" or ready(self.network):
            return
        trainer.datamodule.setup("fit")  # type: ignore[attr-defined]
        with undisturbed():
            loader = trainer.datamodule.train_dataloader()  # type: ignore[attr-defined]
            settle(self.network, pl_module, islice(loader, self.batches))


def ready(network: nn.Module) -> bool:
    """Whether all ranges of a quantised network are set."""
    found = [layer.input_quantiser for layer in quantised_layers(network).values()]
    found += [part for part in network.modules() if isinstance(part, MapQuantiser)]
    return all(quantiser is None or bool(quantiser.started) for quantiser in found)


@torch.no_grad()
def settle(
    network: nn.Module, pl_module: LightningModule, batches: Iterable[Any], only: nn.Module | None = None
) -> None:
    """Sets ranges as `calibrate` does, with what the module's own `training_step` makes of a batch.

    Args:
        network: Quantised network; its modes are kept.
        pl_module: Module that trains it.
        batches: Training batches; the first sets the ranges, all of them move the averages.
        only: Layer whose ranges are set; None for all of them.
    """
    modes = [(part, part.training) for part in pl_module.modules()]
    network.eval()
    for part in calibrated_parts(network) if only is None else [only]:
        part.train()  # quantises the floating-point values, and nothing else in it depends on the mode
    try:
        with silent(pl_module):
            for index, batch in enumerate(batches):
                step(pl_module, batch, index)
    finally:
        for part, mode in modes:
            part.training = mode
