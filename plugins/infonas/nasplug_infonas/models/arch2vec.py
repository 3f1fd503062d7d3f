"""arch2vec: unsupervised training of the graph autoencoder, as a LightningModule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from pytorch_lightning import LightningModule
from torch import Tensor

from nasplug.tasks.optimizers import make_scheduler
from nasplug.tasks.settings import ScheduleName
from nasplug_infonas.batches import GraphBatch
from nasplug_infonas.encoding import Encoding
from nasplug_infonas.models.losses import ReconstructionAccuracy, VAELoss, vae_loss
from nasplug_infonas.models.vae import GraphVAE, VAESettings

if TYPE_CHECKING:
    from pytorch_lightning.utilities.types import OptimizerLRScheduler


class Arch2Vec(LightningModule):
    """Trains a `GraphVAE` to give back graphs.

    Logs `train_loss`, and in validation `val_loss` and what
    `ReconstructionAccuracy` computes, once per epoch each. Clip gradients with
    the Trainer: the published norm is 5.

    Source: Yan et al., NeurIPS 2020. Adam, 1e-3, batches of 32; 8 epochs on NAS-Bench-101 and 10 on NAS-Bench-201.

    Args:
        encoding: Encoding of the graphs.
        settings: Sizes of the autoencoder.
        lr: Learning rate.
        beta: Weight of the divergence; None means 1 / (batch size x rows), as published.
        schedule: Course of the learning rate by step; published is none.
    """

    def __init__(
        self,
        encoding: Encoding,
        settings: VAESettings | None = None,
        lr: float = 1e-3,
        beta: float | None = None,
        schedule: ScheduleName = "none",
    ) -> None:
        super().__init__()
        self.encoding = encoding
        self.vae = GraphVAE(len(encoding.labels), encoding.nodes, settings)
        self.lr, self.beta, self.schedule = lr, beta, schedule
        self.accuracy = ReconstructionAccuracy()
        self._losses: list[Tensor] = []

    def loss(self, batch: GraphBatch) -> VAELoss:
        """The loss of a batch: operations (B, V) and adjacency (B, V, V)."""
        codes, _, reconstruction = self.vae(*batch)
        return vae_loss(codes, reconstruction, *batch, head=self.vae.settings.head, beta=self.beta)

    def training_step(self, batch: GraphBatch, batch_index: int) -> Tensor:
        """Loss of one batch: operations (B, V) and adjacency (B, V, V)."""
        loss = self.loss(batch).total
        self._losses.append(loss.detach())
        return loss

    def on_train_epoch_end(self) -> None:
        """Logs `train_loss`; logging every step would cost as much as the step."""
        self.log("train_loss", torch.stack(self._losses).mean(), on_step=False, on_epoch=True)
        self._losses.clear()

    def validation_step(self, batch: GraphBatch, batch_index: int) -> None:
        """Scores one batch."""
        codes, _, reconstruction = self.vae(*batch)
        loss = vae_loss(codes, reconstruction, *batch, head=self.vae.settings.head, beta=self.beta)
        self.accuracy.update(reconstruction, *batch)
        self.log("val_loss", loss.total, on_step=False, on_epoch=True, batch_size=len(batch[0]))

    def on_validation_epoch_end(self) -> None:
        """Logs the accuracies."""
        found = self.accuracy.compute()
        self.log_dict({name: value.float() for name, value in found.items()}, on_step=False, on_epoch=True)
        self.accuracy.reset()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Adam, all its arithmetic in one kernel, which a network of small layers notices; and its schedule."""
        optimizer = torch.optim.Adam(self.vae.parameters(), self.lr, fused=True)
        if self.schedule == "none":
            return optimizer
        scheduler = make_scheduler(self.schedule, optimizer, max(1, int(self.trainer.estimated_stepping_batches)))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
