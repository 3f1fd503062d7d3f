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

    Args:
        data: Source of the images; None means scikit-learn's digits.
        batch_size: Number of images per training batch.
        limit: Number of images, class balanced, for training and validation together; None means all.
        augment: Augmentation of training images: none, flip, crop or crop_flip.
        split: Images to hold out.
        loading: Settings of batches and their loading.
        training: Recipe that networks are trained by.

    Raises:
        TaskError: A setting of the training is unknown or out of range.
        SpecError: So is one of the batches.
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
