"""Trainings that could not follow a network whose shapes change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasplug.contract.errors import SpecError

if TYPE_CHECKING:
    from pytorch_lightning import Trainer

#: Callbacks that keep a copy of the weights, which would keep its shapes.
_COPIES = ("StochasticWeightAveraging", "WeightAveraging", "EMAWeightAveraging")


def refuse(trainer: Trainer) -> None:
    """Refuses several processes, wrapped networks and averaged weights.

    Args:
        trainer: Trainer that is about to fit.

    Raises:
        SpecError: It has one of them.
    """
    strategy = type(trainer.strategy).__name__
    if trainer.world_size > 1 or strategy.startswith(("DDP", "FSDP", "DeepSpeed", "ModelParallel")):
        raise SpecError(
            "a network that grows trains in one process",
            where="cgap",
            why=f"{strategy} exchanges gradients in buckets of the sizes at the start, and the processes would not "
            "follow each other's changes",
            fix='use devices: 1 and strategy: "auto"; train the network that came out in several processes afterwards',
        )
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if type(callback).__name__ in _COPIES:
            raise SpecError(
                f"{type(callback).__name__} keeps a copy of the weights at the start",
                where="cgap",
                fix="average weights in a second training, after growth and pruning",
            )
