"""Asks stopper plugins in a user's own Trainer."""

from __future__ import annotations

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities import rank_zero_info, rank_zero_warn

from nasplug.contract.records import Measurement
from nasplug.evaluate.recorder import numbers
from nasplug.evaluate.trialrun import TrialRun


class Stopping(Callback):
    """Shows every validation to the stoppers and stops the Trainer when one of them says so.

    Only the first rank asks, and all stop. A stopper that fails is named in a warning and not asked again.

    Args:
        run: Stands for this training, and knows the stoppers.
    """

    def __init__(self, run: TrialRun) -> None:
        self._run = run
        self._works = True

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measures, asks, stops."""
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        reason: str | None = None
        if trainer.is_global_zero and self._works:
            reason = self._ask(Measurement(trainer.current_epoch + 1, numbers(trainer.callback_metrics)))
        if trainer.strategy.broadcast(reason) is not None:
            rank_zero_info(f"nasplug: the training is stopped: {reason}")
            trainer.should_stop = True

    def _ask(self, measurement: Measurement) -> str | None:
        try:
            return self._run.report(measurement)
        except Exception as error:  # whatever a plugin raises, the training goes on
            rank_zero_warn(f"nasplug: stoppers are no longer asked: {error}")
            self._works = False
            return None

    def state_dict(self) -> dict[str, Any]:
        """Goes into checkpoints, so that a continued training is judged as a whole."""
        return {"measurements": [[item.step, dict(item.metrics)] for item in self._run.measurements]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The inverse."""
        self._run.measurements[:] = [Measurement(step, metrics) for step, metrics in state_dict["measurements"]]
