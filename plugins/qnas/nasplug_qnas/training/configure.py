"""From a recipe to what Lightning trains with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import nn

from nasplug.contract.errors import TaskError
from nasplug.tasks.optimizers import total_steps
from nasplug_qnas import networks
from nasplug_qnas.networks.optimisers import OPTIMISERS
from nasplug_qnas.networks.schedules import SCHEMES
from nasplug_qnas.training.recipe import Recipe

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule
    from pytorch_lightning.utilities.types import OptimizerLRScheduler


def configure(recipe: Recipe, parameters: Sequence[nn.Parameter], module: LightningModule) -> OptimizerLRScheduler:
    """Makes the optimiser of a recipe, and its schedule if it has one.

    Args:
        recipe: Recipe.
        parameters: Parameters to train.
        module: Module that trains them; its Trainer knows the length of the training.

    Raises:
        TaskError: The Trainer does not have an end.
    """
    steps, epochs = total_steps(module.trainer, recipe.schedule), module.trainer.max_epochs
    if epochs is None or epochs < 1:
        raise TaskError(
            f"the schedule {recipe.schedule!r} needs to know the number of epochs",
            where="training",
            fix="give the Trainer max_epochs",
        )
    name = recipe.optimizer or SCHEMES[recipe.schedule][0]
    plan = networks.configure(
        recipe.schedule,
        parameters,
        epochs,
        max(1, math.ceil(steps / epochs)),
        optimiser=name,
        **recipe.arguments(OPTIMISERS[name][1]),
    )
    if plan.scheduler is None:
        return plan.optimiser
    return {"optimizer": plan.optimiser, "lr_scheduler": {"scheduler": plan.scheduler, "interval": plan.interval}}
