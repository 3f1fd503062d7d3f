"""Growth and pruning one step at a time, as a strategy orders them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pytorch_lightning import LightningModule, Trainer
from torch import nn

from nasplug.contract.io import Inputs
from nasplug.contract.jsondata import JsonObject
from nasplug_cgap.growth.callback import Growing
from nasplug_cgap.growth.orders import Order
from nasplug_cgap.growth.settings import Settings

if TYPE_CHECKING:
    from nasplug.contract.protocols import HardwareTarget


class Ordered(Growing):
    """Makes the one change that was ordered, once there are gradients to score by, and trains on.

    Args:
        order: Change to make.
        settings: Settings.
        network: Function that finds the network in the LightningModule.
        inputs: Inputs of the network.
        target: Hardware target whose estimates can be limits.
        edit: Function that takes the record of each change.
        seed: Seed of the noise on new channels.
        edits: Changes that the network has gone through already.
    """

    def __init__(
        self,
        order: Order,
        settings: Settings,
        network: Callable[[LightningModule], nn.Module],
        inputs: Inputs | None,
        target: HardwareTarget | None = None,
        edit: Callable[[JsonObject], None] | None = None,
        seed: int = 0,
        edits: Sequence[JsonObject] = (),
    ) -> None:
        super().__init__(settings, network, inputs, target, edit, seed, edits)
        self._order = order
        self._made = order.do in ("sow", "train")
        self._seen = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Enters the phase of the order."""
        super().on_train_start(trainer, pl_module)
        if self._order.do == "prune" and self.phase == "grow":
            self.phase = "prune"
        elif self._order.do == "train" and self.phase != "done":
            self._wake()

    def _left(self, trainer: Trainer) -> int | None:
        if self._made:
            return None
        self._seen += 1
        return max(0, min(self.settings.score_batches, int(trainer.num_training_batches)) - self._seen)

    def _step(self, pl_module: LightningModule, step: int, steps: int) -> None:
        self._made = True
        if self._order.do == "grow":
            self._grow(min(1.0, self.settings.growth.rate * self._order.factor), step)
        else:
            self._prune(pl_module, self._order.done)
