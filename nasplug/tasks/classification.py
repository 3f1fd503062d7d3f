"""Classification of images: the task most searches start with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import TaskError, did_you_mean
from nasplug.data.digits import Digits
from nasplug.data.prepared import Augment, PreparedImages, check_batching, prepare
from nasplug.data.source import ImageSource
from nasplug.tasks.settings import OptimizerName, ScheduleName, TrainingSettings

if TYPE_CHECKING:
    from torch import nn

    from nasplug.data.datamodule import ImageDataModule
    from nasplug.tasks.classification_module import ClassificationModule


class ImageClassification:
    """Trains a network to name the class of an image; scored by `val_acc` and `val_loss`.

    Data are read when they are first needed, once per process, and never sent between processes. How long a network
    trains belongs to the budget of a run. A strategy may propose any field of
    `nasplug.tasks.settings.TrainingSettings` as a hyperparameter.

    Args:
        data: Source of the images; None means scikit-learn's digits, which need no file.
        batch_size: Images per training batch.
        val_fraction: Part of the training images held out for validation, unless the source brings its own.
        test_fraction: Part of the training images held out for the final test, unless the source brings its own.
        limit: Number of images, class balanced, for training and validation together; None means all.
        augment: Augmentation of training images: none, flip (left to right), crop (shift) or crop_flip.
        pad: Largest shift of crop in pixels; None means an eighth of the height.
        normalise: Whether to normalise each channel by the training part.
        split_seed: Seed of the validation part and of the limit.
        lr: Learning rate, the highest of the schedule.
        weight_decay: Decoupled for adamw, an L2 penalty added to the gradient for the others.
        optimizer: Name of the optimiser.
        momentum: Momentum of sgd, nesterov and rmsprop.
        decay: Smoothing constant of rmsprop's squared gradients.
        schedule: Course of the learning rate, by step.
        label_smoothing: Share of the target that is spread over all classes in training.
        l2_all: Puts the weight decay into the loss, over all trainable variables.
        eval_batch_size: Images per batch in validation and test; None means the larger of `batch_size` and 256.
        num_workers: Processes that make batches ahead of time; 0 is nearly always fastest.

    Raises:
        TaskError: A setting of the training is unknown or out of range.
        SpecError: So is one of the batches.
    """

    objectives: Mapping[str, str] = {"val_acc": "max", "val_loss": "min"}
    output = "vector"
    shapes_need_data = True

    def __init__(
        self,
        data: ImageSource | None = None,
        batch_size: int = 64,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        limit: int | None = None,
        augment: Augment = "none",
        pad: int | None = None,
        normalise: bool = True,
        split_seed: int = 0,
        lr: float = 1e-3,
        weight_decay: float = 1e-4,
        optimizer: OptimizerName = "adamw",
        momentum: float = 0.9,
        decay: float = 0.99,
        schedule: ScheduleName = "cosine",
        label_smoothing: float = 0.0,
        l2_all: bool = False,
        eval_batch_size: int | None = None,
        num_workers: int = 0,
    ) -> None:
        check_batching(batch_size, augment, pad, eval_batch_size, num_workers)
        self.data = Digits() if data is None else data
        self.settings = TrainingSettings(
            lr, weight_decay, optimizer, momentum, decay, schedule, label_smoothing, l2_all
        )
        self._division: dict[str, Any] = {
            "val_fraction": val_fraction,
            "test_fraction": test_fraction,
            "limit": limit,
            "seed": split_seed,
        }
        self._batches: dict[str, Any] = {
            "batch_size": batch_size,
            "augment": augment,
            "pad": pad,
            "normalise": normalise,
            "eval_batch_size": eval_batch_size,
            "num_workers": num_workers,
        }
        self._prepared: PreparedImages | None = None

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape (C, H, W) of one image."""
        return self._read().input_shape

    @property
    def outputs(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of the labels."""
        return self._read().classes

    def check(self) -> None:
        """Looks quickly whether the data can be there, reading no images.

        Raises:
            DataError: A file or folder is missing.
        """
        self.data.check()

    def check_hyperparameters(self, names: Iterable[str]) -> None:
        """Refuses hyperparameters that training does not take.

        Raises:
            TaskError: One of the names is unknown.
        """
        known = TrainingSettings.names()
        for name in names:
            if name not in known:
                raise TaskError(
                    f"there is no hyperparameter {name!r}", where="ImageClassification", why=did_you_mean(name, known)
                )

    def datamodule(self) -> ImageDataModule:
        """A data module of its own for one Trainer; the data themselves are shared."""
        from nasplug.data.datamodule import ImageDataModule

        return ImageDataModule(self.data, **self._division, **self._batches, prepared=self._read())

    def module(self, network: nn.Module, hyperparameters: Mapping[str, Any] | None = None) -> ClassificationModule:
        """A LightningModule that trains `network`, with `hyperparameters` in place of the task's own settings.

        Raises:
            TaskError: A hyperparameter is unknown or out of range.
        """
        from nasplug.tasks.classification_module import ClassificationModule

        proposed = dict(hyperparameters or {})
        self.check_hyperparameters(proposed)
        return ClassificationModule(network, self.outputs, self.settings.with_(proposed))

    def _read(self) -> PreparedImages:
        if self._prepared is None:
            self._prepared = prepare(self.data.load(), **self._division)
        return self._prepared

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_prepared": None}
