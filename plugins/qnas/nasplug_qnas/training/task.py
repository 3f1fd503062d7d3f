"""Image classification trained by Q-NAS recipes, as a nasplug task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import TaskError, did_you_mean
from nasplug.data.prepared import Augment
from nasplug.data.source import ImageSource
from nasplug.tasks.classification import ImageClassification
from nasplug_qnas.training.recipe import Optimiser, Recipe, Scheme

if TYPE_CHECKING:
    from torch import nn

    from nasplug_qnas.training.module import RecipeModule


class RecipeClassification(ImageClassification):
    """Trains a network to name the class of an image as Q-NAS does; scored by `val_acc` and `val_loss`.

    Differs from `nasplug.tasks.ImageClassification` in its optimisers and schedules alone. The defaults are
    those of the search on CIFAR: RMSProp as TensorFlow computes it, at a fixed rate, with the weight decay on all
    variables. A strategy may evolve any field of `nasplug_qnas.training.recipe.Recipe`, and a retraining may
    replace it: `nasplug retrain FILE --epochs 300 --hyperparameter scheme=cosine`.

    Args:
        data: Source of the images; None means scikit-learn's digits.
        batch_size: Images per training batch.
        val_fraction: Part of the training images held out for validation, unless the source brings its own.
        test_fraction: Part of the training images held out for the final test, unless the source brings its own.
        limit: Number of images, class balanced, for training and validation together; None means all.
        augment: Augmentation of training images: none, flip, crop or crop_flip.
        pad: Largest shift of crop in pixels; None means an eighth of the height.
        normalise: Whether to normalise each channel by the training part.
        split_seed: Seed of the validation part and of the limit.
        scheme: Course of the learning rate: constant, cosine, cosine500, special, cyclic, swats or adam2sgd.
        optimiser: momentum, rmsprop_tf, rmsprop, adam, adamw, swats or adam2sgd; None means the scheme's own.
        lr: Learning rate of constant, and of Adam in swats and adam2sgd.
        decay: Smoothing of the squared gradients of RMSProp.
        momentum: Momentum of constant.
        weight_decay: L2 penalty on all trainable variables; decoupled for adamw.
        max_lr: Highest rate of cosine, cosine500, special and cyclic.
        base_lr: Lowest rate of cyclic.
        half_cycle: Steps that cyclic rises and falls.
        sgd_momentum: Momentum of SGD in all schemes but constant.
        switch_epoch: Epoch in which adam2sgd changes to SGD; None means half-way.
        lr_boost: Factor from Adam's learning rate to SGD's in adam2sgd.
        eval_batch_size: Images per batch in validation and test; None means the larger of `batch_size` and 256.
        num_workers: Processes that make batches ahead of time; 0 is nearly always fastest.

    Raises:
        TaskError: A setting of the training is unknown or out of range.
        SpecError: So is one of the batches.
    """

    def __init__(
        self,
        data: ImageSource | None = None,
        batch_size: int = 256,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        limit: int | None = None,
        augment: Augment = "none",
        pad: int | None = None,
        normalise: bool = True,
        split_seed: int = 0,
        scheme: Scheme = "constant",
        optimiser: Optimiser | None = None,
        lr: float = 1e-3,
        decay: float = 0.9,
        momentum: float = 0.0,
        weight_decay: float = 1e-4,
        max_lr: float = 0.1,
        base_lr: float = 0.01,
        half_cycle: int = 20,
        sgd_momentum: float = 0.9,
        switch_epoch: int | None = None,
        lr_boost: float = 10.0,
        eval_batch_size: int | None = None,
        num_workers: int = 0,
    ) -> None:
        super().__init__(
            data,
            batch_size,
            val_fraction,
            test_fraction,
            limit,
            augment,
            pad,
            normalise,
            split_seed,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
        )
        self.recipe = Recipe(
            scheme=scheme,
            optimiser=optimiser,
            lr=lr,
            decay=decay,
            momentum=momentum,
            weight_decay=weight_decay,
            max_lr=max_lr,
            base_lr=base_lr,
            half_cycle=half_cycle,
            sgd_momentum=sgd_momentum,
            switch_epoch=switch_epoch,
            lr_boost=lr_boost,
        )

    def check_hyperparameters(self, names: Iterable[str]) -> None:
        """Refuses hyperparameters that a recipe does not have.

        Raises:
            TaskError: One of the names is unknown.
        """
        known = Recipe.names()
        for name in names:
            if name not in known:
                raise TaskError(
                    f"there is no hyperparameter {name!r}", where="qnas.classification", fix=did_you_mean(name, known)
                )

    def module(self, network: nn.Module, hyperparameters: Mapping[str, Any] | None = None) -> RecipeModule:
        """A LightningModule that trains `network`, with `hyperparameters` in place of the task's own values.

        Raises:
            TaskError: A hyperparameter is unknown or out of range.
        """
        from nasplug_qnas.training.module import RecipeModule

        proposed = dict(hyperparameters or {})
        self.check_hyperparameters(proposed)
        return RecipeModule(network, self.outputs, self.recipe.with_(proposed))
