"""Schedules of the learning rate in a training that goes on with a larger budget."""

from __future__ import annotations

from typing import Any

#: State of torch's schedules that says how long they are; the rest says how far they have come.
_LENGTHS = ("total_steps", "_schedule_phases", "T_max", "total_iters", "_milestones")


class Continuing:
    """Keeps the lengths of schedules as the module makes them now. A mixin for the `Callback` of the Lightning at hand.

    A checkpoint holds the whole schedule, so that one made for the smaller budget would end in the middle of the larger
    one: OneCycleLR raises an error then, others start anew. Where a strategy says how far trainings may go
    (`Budget.total`) both are the same; otherwise the new schedule goes on at the step that was reached.
    """

    def on_load_checkpoint(self, trainer: Any, module: Any, checkpoint: dict[str, Any]) -> None:
        """Takes the lengths out of the states that are about to be loaded."""
        for state in checkpoint.get("lr_schedulers", ()):
            _without_lengths(state)


def _without_lengths(state: Any) -> None:
    if not isinstance(state, dict):
        return
    for name in _LENGTHS:
        state.pop(name, None)
    for inner in state.get("_schedulers", ()):  # SequentialLR and ChainedScheduler hold states of others
        _without_lengths(inner)
