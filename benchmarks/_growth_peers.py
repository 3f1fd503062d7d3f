"""Pruning of torch-pruning inside a Lightning Trainer, by the task of the benchmark on growth.

torch-pruning is not a dependency: put it on the path, such as by `pip install --no-deps --target DIR torch-pruning`.
"""

from __future__ import annotations

import time
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn

import nasplug as nas
from nasplug.cost.counts import count_macs, count_params

#: Shares of a training at which channels go, as wide apart as those of `cgap`.
PRUNED_AT = (0.40, 0.46, 0.52, 0.58, 0.64)
#: Share of a training in which group sparsity is trained for, before the first step.
SPARSE_FROM = 0.1
KINDS = ("l2", "taylor", "group")


class Peer(pl.Callback):
    """Removes channels by torch-pruning in steps, and counts the work of training.

    Args:
        kind: `l2`: magnitude of groups, equal shares of all layers (the default of the library); `taylor`: first-order
            Taylor importance with one threshold for all layers; `group`: sparsity of groups is trained for
            (DepGraph, arXiv 2301.12900), then their norms decide, with one threshold.
        keep: Share of the parameters to end with.
        shape: Shape of an image.
    """

    def __init__(self, kind: str, keep: float, shape: tuple[int, ...]) -> None:
        self.kind, self.keep, self.shape = kind, keep, shape
        self.taken, self.whole, self.work, self.per_image = 0, 0, 0.0, 0.0
        self.sparse: Any = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measures the whole network."""
        network: Any = pl_module.network
        self.whole, self.per_image = count_params(network), 6.0 * count_macs(network, self.shape)
        if self.kind == "group":
            self.sparse = self.pruner(network)
            self.sparse.update_regularizer()

    def on_after_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Adds the gradient of the penalty on groups."""
        progress = trainer.global_step / int(trainer.estimated_stepping_batches)
        if self.sparse is not None and not self.taken and progress >= SPARSE_FROM:
            self.sparse.regularize(pl_module.network)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Counts, and takes the steps that are due with the gradients of this batch."""
        self.work += self.per_image * len(batch[1])
        progress = trainer.global_step / trainer.estimated_stepping_batches
        if self.taken == len(PRUNED_AT) or progress < PRUNED_AT[self.taken]:
            return
        self.taken += 1
        target = self.whole * (1 - (1 - self.keep) * self.taken / len(PRUNED_AT))
        pruner = self.pruner(pl_module.network)
        while count_params(pl_module.network) > target and pruner.current_step < 200:
            pruner.step()
        (optimizer,) = trainer.optimizers
        optimizer.state.clear()
        optimizer.param_groups[0]["params"] = list(pl_module.parameters())
        self.per_image = 6.0 * count_macs(pl_module.network, self.shape)

    def pruner(self, network: nn.Module) -> Any:
        """The pruner of the library for the network as it is."""
        import torch_pruning  # type: ignore[import-untyped]

        kinds = torch_pruning.importance
        importance = kinds.GroupTaylorImportance() if self.kind == "taylor" else kinds.GroupMagnitudeImportance(p=2)
        make = torch_pruning.pruner.GroupNormPruner if self.kind == "group" else torch_pruning.pruner.BasePruner
        return make(
            network,
            torch.zeros(1, *self.shape),
            importance=importance,
            global_pruning=self.kind != "l2",
            pruning_ratio=0.98,
            max_pruning_ratio=0.9,
            iterative_steps=200,
            ignored_layers=[module for module in network.modules() if isinstance(module, nn.Linear)],
            **({"reg": 1e-3} if self.kind == "group" else {}),
        )


def train(
    task: nas.ImageClassification, network: nn.Module, kind: str, keep: float, seed: int, epochs: int
) -> dict[str, Any]:
    """Trains and prunes the network; figures as those of the other rows.

    Args:
        task: Task of all rows, whose validation images are test images.
        network: Whole network.
        kind: One of `KINDS`.
        keep: Share of the parameters to end with.
        seed: Seed of the order of the images and their augmentation.
        epochs: Number of epochs.
    """
    started = time.perf_counter()
    pl.seed_everything(seed, verbose=False)
    module, data = task.module(network, {}), task.datamodule()
    peer = Peer(kind, keep, task.input_shape)
    quiet: dict[str, Any] = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    trainer = pl.Trainer(max_epochs=epochs, accelerator="cpu", callbacks=[peer], **quiet)
    trainer.fit(module, datamodule=data)
    (measured,) = trainer.validate(module, datamodule=data, verbose=False)
    return {
        "epochs": epochs,
        "val_acc": measured["val_acc"],
        "params": count_params(network),
        "macs": count_macs(network, task.input_shape),
        "work": peer.work,
        "seconds": time.perf_counter() - started,
    }
