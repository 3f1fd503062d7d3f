"""Says how far the training of a supernet is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

#: Called with the done part, between 0 and 1, and with metrics.
Tell = Callable[[float, Mapping[str, float]], None]


class Progress(Callback):
    """Tells the share of the steps that are done and the mean loss of the epoch so far.

    Args:
        tell: Function to tell.
        every: Seconds between two calls; the end of an epoch is always told.
    """

    def __init__(self, tell: Tell, every: float = 1.0) -> None:
        self._tell, self._every, self._last = tell, every, -float("inf")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Tells, if it is time to."""
        batches = int(trainer.num_training_batches)
        ends, now = batch_idx + 1 == batches, time.monotonic()
        if not ends and now - self._last < self._every:
            return
        self._last = now
        share = (trainer.current_epoch + (batch_idx + 1) / batches) / (trainer.max_epochs or 1)
        loss = getattr(pl_module, "mean_loss", None)
        self._tell(min(1.0, share), {"epoch": trainer.current_epoch + 1} | ({} if loss is None else {"loss": loss}))
