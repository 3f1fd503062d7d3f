"""A callback by which a long piece of work says how far it is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nasplug.evaluate.workrun import WorkRun


class Telling:
    """Mixin of a Lightning callback that says how far a piece of work is, about once a second.

    Args:
        run: The work.
        epochs: Number of epochs.
    """

    def __init__(self, run: WorkRun, epochs: int) -> None:
        super().__init__()
        self._run, self._epochs, self._last = run, epochs, -float("inf")

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Says it, if it is time to, and at the end of every epoch."""
        batches, now = int(trainer.num_training_batches), time.monotonic()
        if now - self._last >= 1.0 or batch_idx + 1 == batches:
            self._last = now
            self._run.progress((trainer.current_epoch + (batch_idx + 1) / batches) / self._epochs)
