"""Statistics of batch normalisations, measured anew after channels were taken out."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from nasplug.run.seeding import undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytorch_lightning import LightningModule, Trainer


#: Steps of an epoch after which running statistics, of momentum 0.1, have forgotten what was before.
FEW = 40


class Recalibration:
    """Mixin of a Lightning callback that measures the statistics of a network on training batches before anything else.

    What a batch does is asked of the module's own `training_step`, without gradients and without logging, so that its
    own preprocessing counts. Source: Li et al., "EagleEye: Fast Sub-net Evaluation for Efficient Neural Network
    Pruning", ECCV 2020.

    Args:
        network: The network.
        batches: Number of batches.
    """

    def __init__(self, network: nn.Module, batches: int) -> None:
        super().__init__()
        self.network, self.batches = network, batches

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measures before a training."""
        self._measure(trainer, pl_module)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measures before a score without training, and after epochs whose few steps do not move the statistics."""
        if trainer.state.fn == "validate":
            trainer.datamodule.setup("fit")  # type: ignore[attr-defined]
            self._measure(trainer, pl_module)
        elif not trainer.sanity_checking and trainer.num_training_batches < FEW:
            self._measure(trainer, pl_module)

    def _measure(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not normalisations(self.network):
            return
        loader = trainer.datamodule.train_dataloader()  # type: ignore[attr-defined]
        with undisturbed():
            recalibrate(self.network, pl_module, loader, self.batches)


def normalisations(network: nn.Module) -> list[nn.modules.batchnorm._NormBase]:
    """Normalisations that keep statistics of batches."""
    kind = nn.modules.batchnorm._NormBase
    return [part for part in network.modules() if isinstance(part, kind) and part.track_running_stats]


@torch.no_grad()
def recalibrate(network: nn.Module, pl_module: LightningModule, loader: Any, batches: int) -> None:
    """Replaces the statistics of normalisations by their means over some batches.

    Args:
        network: The network.
        pl_module: Module that trains it; decides what is done with a batch.
        loader: Loader of the training data.
        batches: Number of batches.
    """
    norms = normalisations(network)
    modes = [(part, part.training) for part in pl_module.modules()]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
    network.eval()
    for norm in norms:
        norm.train()
    try:
        with silent(pl_module):
            for index, batch in enumerate(loader):
                if index >= batches:
                    break
                step(pl_module, batch, index)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for part, mode in modes:
            part.training = mode


def step(pl_module: LightningModule, batch: Any, index: int) -> Any:
    """Gives one batch to the module's `training_step`, moved and changed as a Trainer would do it."""
    batch = pl_module._apply_batch_transfer_handler(batch, device=pl_module.device)
    training_step = type(pl_module).training_step
    taken = len(inspect.signature(training_step).parameters) - 1
    return training_step(pl_module, *(batch, index)[:taken])


@contextmanager
def silent(pl_module: LightningModule) -> Iterator[None]:
    """Keeps a module from logging, which only works inside of Lightning's loops."""
    names = ("log", "log_dict")
    nothing: Callable[..., None] = lambda *args, **kwargs: None  # noqa: E731
    for name in names:
        object.__setattr__(pl_module, name, nothing)
    try:
        yield
    finally:
        for name in names:
            pl_module.__dict__.pop(name, None)
