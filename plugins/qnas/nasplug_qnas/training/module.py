"""Lightning training of one chain by a recipe."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import nn

from nasplug.contract.errors import TaskError
from nasplug.tasks.classification_module import ClassificationModule
from nasplug_qnas.networks import configure
from nasplug_qnas.networks.optimisers import OPTIMISERS
from nasplug_qnas.networks.schedules import SCHEMES
from nasplug_qnas.training.recipe import Recipe

if TYPE_CHECKING:
    from pytorch_lightning.utilities.types import OptimizerLRScheduler


class RecipeModule(ClassificationModule):
    """Trains a network with cross-entropy by one of the Q-NAS schemes, and scores its accuracy.

    Logs what `nasplug.tasks.ClassificationModule` logs.

    Args:
        network: Takes float images (N, C, H, W), returns logits (N, num_classes).
        num_classes: Number of classes.
        recipe: Optimiser and schedule; None means the defaults.
    """

    def __init__(self, network: nn.Module, num_classes: int, recipe: Recipe | None = None) -> None:
        super().__init__(network, num_classes)
        self.recipe = recipe or Recipe()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimiser, and its schedule if it has one.

        Raises:
            TaskError: Nothing can be trained, or the Trainer has no end, which a schedule must know.
        """
        trainable = [variable for variable in self.parameters() if variable.requires_grad]
        if not trainable:
            raise TaskError("the network has no trainable parameters", where="RecipeModule")
        recipe, epochs = self.recipe, self.trainer.max_epochs
        steps = self.trainer.estimated_stepping_batches
        if epochs is None or epochs < 1 or math.isinf(steps):
            raise TaskError(
                f"the scheme {recipe.scheme!r} needs to know the number of epochs",
                where="RecipeModule",
                fix="give the Trainer max_epochs",
            )
        name = recipe.optimiser or SCHEMES[recipe.scheme][0]
        plan = configure(
            recipe.scheme,
            trainable,
            epochs,
            max(1, math.ceil(steps / epochs)),
            optimiser=name,
            **recipe.arguments(OPTIMISERS[name][1]),
        )
        if plan.scheduler is None:
            return plan.optimiser
        return {
            "optimizer": plan.optimiser,
            "lr_scheduler": {"scheduler": plan.scheduler, "interval": plan.interval},
        }
