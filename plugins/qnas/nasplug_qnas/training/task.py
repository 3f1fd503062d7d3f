"""Image classification trained by Q-NAS recipes, as a nasplug task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from nasplug.data.prepared import Augment
from nasplug.data.settings import Loading, Split
from nasplug.data.source import ImageSource
from nasplug.tasks.classification import ImageClassification
from nasplug_qnas.training.recipe import Recipe


class RecipeClassification(ImageClassification):
    """Trains a network to name the class of an image as Q-NAS does; scored by `val_acc` and `val_loss`.

    Differs from `nasplug.ImageClassification` in its optimisers and schedules alone. The defaults are
    those of the search on CIFAR: RMSProp as TensorFlow computes it, at a fixed rate, with the weight decay on all
    variables. A strategy may evolve any setting of `training`, and a retraining may replace it:
    `nasplug retrain FILE --epochs 300 --hyperparameter schedule=cosine`.
    """

    #: The recipe shares its names with `nasplug.tasks.Training` now.
    nasplug_renamed: ClassVar[Mapping[str, str]] = {"scheme": "training.schedule", "optimiser": "training.optimizer"}

    def __init__(
        self,
        data: ImageSource | None = None,
        batch_size: int = 256,
        limit: int | None = None,
        augment: Augment = "none",
        split: Split = Split(),
        loading: Loading = Loading(),
        training: Recipe = Recipe(),
    ) -> None:
        super().__init__(data, batch_size, limit, augment, split, loading)
        self.training = training
