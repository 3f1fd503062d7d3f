"""info-NAS: joint training of the autoencoder and a regressor, as a LightningModule."""

from __future__ import annotations

from typing import Any, Literal

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.nn.functional import l1_loss, mse_loss

from nasplug.contract.errors import SpecError
from nasplug_infonas.batches import GraphBatch
from nasplug_infonas.encoding import Encoding
from nasplug_infonas.interleave import LabelledBatch
from nasplug_infonas.models.losses import ReconstructionAccuracy, vae_loss
from nasplug_infonas.models.regressor import AccuracyRegressor, ImageRegressor
from nasplug_infonas.models.vae import GraphVAE, VAESettings

Error = Literal["mse", "l1"]


class InfoNAS(LightningModule):
    """Trains a graph autoencoder together with a regressor that sees its codes.

    On an unlabelled batch the loss is that of the autoencoder; on a labelled one the error of the regressor is added.
    Two Adam optimisers share the autoencoder: one steps after unlabelled batches and knows nothing else, the other
    after labelled ones and owns the regressor, too. So the moments of the one are not disturbed by the gradients of the
    other.

    Logs `train_loss` (unlabelled), `train_error` (of the regressor), and in validation what
    `ReconstructionAccuracy` computes.

    Source: Suchoparova, thesis, Charles University, 2021; Suchoparova and Neruda, 2021.

    Args:
        encoding: Encoding of the graphs.
        regressor: Predicts targets from codes (B, V, D), and images if it is an `ImageRegressor`.
        settings: Sizes of the autoencoder.
        lr: Learning rate of both optimisers.
        error: `mse`, or `l1` as in the thesis.
        weight: Weight of the regressor's error. With 0 the autoencoder sees the same batches and learns nothing from
            labels, which is what a comparison with info-NAS should be made with.
        beta: Weight of the divergence; None means 1 / (batch size x rows).
        gradient_clip: Largest norm of a gradient.
    """

    def __init__(
        self,
        encoding: Encoding,
        regressor: ImageRegressor | AccuracyRegressor,
        settings: VAESettings | None = None,
        lr: float = 1e-3,
        error: Error = "mse",
        weight: float = 1.0,
        beta: float | None = None,
        gradient_clip: float = 5.0,
    ) -> None:
        super().__init__()
        if error not in ("mse", "l1"):
            raise SpecError(f"there is no error {error!r}", where="InfoNAS", fix="write mse or l1")
        self.automatic_optimization = False
        self.vae = GraphVAE(len(encoding.labels), encoding.nodes, settings)
        self.regressor = regressor
        self.lr, self.weight, self.beta, self.gradient_clip = lr, weight, beta, gradient_clip
        self._error = mse_loss if error == "mse" else l1_loss
        self.accuracy = ReconstructionAccuracy()
        self._losses: list[Tensor] = []
        self._errors: list[Tensor] = []

    def predict(self, codes: Tensor, images: Tensor | None) -> Tensor:
        """Predictions (B, k) of the regressor."""
        predicted: Tensor = self.regressor(codes) if images is None else self.regressor(codes, images)
        return predicted

    def training_step(self, batch: GraphBatch | LabelledBatch, batch_index: int) -> None:
        """One step of the optimiser that the batch is for."""
        alone, together = self.optimizers()  # type: ignore[attr-defined]
        operations, adjacency = batch[0], batch[1]
        codes, samples, reconstruction = self.vae(operations, adjacency)
        head = self.vae.settings.head
        loss = vae_loss(codes, reconstruction, operations, adjacency, head=head, beta=self.beta).total
        if isinstance(batch, LabelledBatch):
            # Without weight, the regressor still learns, from codes that it cannot change.
            seen = samples if self.weight else samples.detach()
            error = self._error(self.predict(seen, batch.images), batch.targets)
            self._errors.append(error.detach())
            self._step(together, loss + (self.weight or 1.0) * error)
        else:
            self._losses.append(loss.detach())
            self._step(alone, loss)

    def _step(self, optimizer: Any, loss: Tensor) -> None:
        self.zero_grad()
        self.manual_backward(loss)
        parts = [[*self.vae.parameters(), *self.regressor.parameters()]]
        if not self.weight:  # a common norm would let labels reach the autoencoder
            parts = [list(self.vae.parameters()), list(self.regressor.parameters())]
        for part in parts:  # parameters without a gradient do not count
            nn.utils.clip_grad_norm_(part, self.gradient_clip)
        optimizer.step()

    def on_train_epoch_end(self) -> None:
        """Logs the means of the epoch."""
        for name, values in (("train_loss", self._losses), ("train_error", self._errors)):
            if values:
                self.log(name, torch.stack(values).mean(), on_step=False, on_epoch=True)
            values.clear()

    def validation_step(self, batch: GraphBatch, batch_index: int) -> None:
        """Scores the reconstruction of held-out graphs."""
        _, _, reconstruction = self.vae(*batch)
        self.accuracy.update(reconstruction, *batch)

    def on_validation_epoch_end(self) -> None:
        """Logs the accuracies."""
        found = self.accuracy.compute()
        self.log_dict({name: value.float() for name, value in found.items()}, on_step=False, on_epoch=True)
        self.accuracy.reset()

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """One for the autoencoder alone, one for the autoencoder and the regressor."""
        shared = list(self.vae.parameters())
        return [
            torch.optim.Adam(shared, self.lr, fused=True),
            torch.optim.Adam([*shared, *self.regressor.parameters()], self.lr, fused=True),
        ]
