"""Asks stopper plugins in a user's own Trainer."""

from __future__ import annotations

from typing import Any

import pluggy
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities import rank_zero_info, rank_zero_warn

from nasplug.contract.records import Measurement, Trial
from nasplug.evaluate.recorder import numbers
from nasplug.ledger.study import Study


class Stopping(Callback):
    """Shows every validation to the stoppers and stops the Trainer when one of them says so.

    Only the first rank asks, and all stop. A stopper that fails is named in a warning and not asked again.

    Args:
        manager: Has the stoppers.
        study: What they are told; it has no other trials.
        trial: Stands for this training.
    """

    def __init__(self, manager: pluggy.PluginManager, study: Study, trial: Trial) -> None:
        self._hook = manager.hook
        self._study, self._trial = study, trial
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
            reason: str | None = self._hook.report(study=self._study, trial=self._trial, measurement=measurement)
        except Exception as error:  # whatever a plugin raises, the training goes on
            rank_zero_warn(f"nasplug: stoppers are no longer asked: {error}")
            self._works = False
            return None
        self._trial = self._trial.with_(measurements=(*self._trial.measurements, measurement))
        return reason

    def state_dict(self) -> dict[str, Any]:
        """Goes into checkpoints, so that a continued training is judged as a whole."""
        return {"measurements": [[item.step, dict(item.metrics)] for item in self._trial.measurements]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The inverse."""
        found = tuple([Measurement(step, metrics) for step, metrics in state_dict["measurements"]])
        self._trial = self._trial.with_(measurements=found)
