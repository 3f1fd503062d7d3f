"""Segmentation trained and scored as SegQNAS does, beside honest volumetric Dice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from nasplug.data.volumes.settings import Folds, Preparation
from nasplug.data.volumes.source import VolumeSource
from nasplug.tasks.segmentation.settings import Patches, Scoring
from nasplug.tasks.segmentation.task import Segmentation
from nasplug_qnas.segmentation.recipe import SegRecipe

if TYPE_CHECKING:
    from torch import nn

    from nasplug.contract.records import Scalar
    from nasplug_qnas.segmentation.module import RecipeModule


class RecipeSegmentation(Segmentation):
    """Segmentation with the loss, optimiser and schedule of SegQNAS; scored by `val_dice` and `val_batch_dice`.

    `val_batch_dice` is the authors' metric: Dice of all foreground classes pooled over batches of 32 slices that hold
    foreground, of probabilities rounded at 0.5, averaged over the batches. It is higher than `val_dice`, which is per
    class and case on the grid of the file, and can be compared with nothing but itself.

    The published fitness is the mean of `val_batch_dice` over the last 6 of 30 epochs and 5 folds:
    `evaluator: {cross_validation: {score: mean, window: 6}}` with `folds: {count: 5}`.

    Args:
        data: Source of the volumes.
        dimensions: 2 as published, or 3.
        patches: Settings of what a network is trained on.
        preparation: Settings of what happens to every volume once.
        folds: Settings of the division by patient.
        scoring: Settings of windows and scores.
        training: Settings of optimiser and schedule.

    Raises:
        SpecError: A setting is unknown or out of range.
        TaskError: A setting of the training is.
    """

    def __init__(
        self,
        data: VolumeSource,
        dimensions: Literal[2, 3] = 2,
        patches: Patches = Patches(batch_size=32),
        preparation: Preparation = Preparation(),
        folds: Folds = Folds(count=5),
        scoring: Scoring = Scoring(),
        training: SegRecipe = SegRecipe(),
    ) -> None:
        super().__init__(data, dimensions, patches, preparation, folds, scoring=scoring)
        self.training = training
        self.objectives = {**self.objectives, "val_batch_dice": "max"}

    def module(self, network: nn.Module, hyperparameters: Mapping[str, Scalar] | None = None) -> RecipeModule:
        """A LightningModule that trains `network`, with `hyperparameters` in place of the task's own settings.

        Raises:
            TaskError: A hyperparameter is unknown or out of range.
        """
        from nasplug_qnas.segmentation.module import RecipeModule

        proposed = dict(hyperparameters or {})
        self.check_hyperparameters(proposed)
        settings = self.training.with_(proposed)
        return RecipeModule(network, self.cases, self.patch_size, scoring=self.scoring, settings=settings)
