"""Ends a training that has stopped improving."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from nasplug.contract.records import Objective


class PatienceCallback(Callback):
    """Stops the Trainer when none of the objectives it can see has improved for some validations.

    Lightning's own EarlyStopping watches one metric; this watches several, and an improvement of any of them counts.

    Args:
        objectives: Objectives; those that are not among the metrics, such as costs, are passed over.
        epochs: Validations without improvement.
        min_delta: Improvement that counts.
    """

    def __init__(self, objectives: Sequence[Objective], epochs: int, min_delta: float = 0.0) -> None:
        self._objectives = tuple(objectives)
        self._epochs, self._min_delta = epochs, min_delta
        self._best: dict[str, float] = {}
        self._waited = 0

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compares, and sets `trainer.should_stop`; all ranks see the same metrics only if the module syncs them."""
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        improved = False
        for objective in self._objectives:
            if objective.name not in trainer.callback_metrics:
                continue
            value = objective.sign * float(trainer.callback_metrics[objective.name])
            if value > self._best.get(objective.name, float("-inf")) + self._min_delta:
                self._best[objective.name] = value
                improved = True
        self._waited = 0 if improved else self._waited + 1
        stop = self._waited >= self._epochs
        trainer.should_stop = trainer.should_stop or trainer.strategy.reduce_boolean_decision(stop, all=False)

    def state_dict(self) -> dict[str, Any]:
        """Goes into checkpoints, so that a continued training goes on waiting."""
        return {"best": dict(self._best), "waited": self._waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The inverse."""
        self._best, self._waited = dict(state_dict["best"]), int(state_dict["waited"])
