"""Classification of images: the task most searches start with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from nasplug.contract.errors import SpecError
from nasplug.contract.jsondata import Json
from nasplug.data.digits import Digits
from nasplug.data.like import prepare_like
from nasplug.data.prepared import Augment, PreparedImages, check_batching
from nasplug.data.settings import Loading, Split
from nasplug.data.source import ImageSource
from nasplug.tasks.parts import check_parts
from nasplug.tasks.remarks import one_class_alone
from nasplug.tasks.settings import Training, TrainingSettings

if TYPE_CHECKING:
    from torch import nn

    from nasplug.contract.records import Scalar
    from nasplug.data.datamodule import ImageDataModule
    from nasplug.tasks.classification_module import ClassificationModule


class ImageClassification:
    """Trains a network to name the class of an image; scored by `val_acc`, and beside it by what `objectives` lists.

    Data are read when they are first needed, once per process, and never sent between processes. How long a network
    trains belongs to the budget of a run. A strategy may propose any setting of `training` as a hyperparameter.

    Example:
        >>> task = ImageClassification(Npz("images.npz"), batch_size=128, training=Training(lr=0.5, optimizer="sgd"))

    Args:
        data: Source of the images; None means scikit-learn's digits, which need no file.
        batch_size: Number of images per training batch.
        limit: Number of images, class balanced, for training and validation together; None means all.
        augment: Augmentation of training images: none, flip (left to right), crop (shift) or crop_flip.
        split: Images to hold out.
        loading: Settings of batches and their loading.
        training: Settings of the training.

    Raises:
        TaskError: A setting of the training is unknown or out of range.
        SpecError: So is one of the batches.
    """

    objectives: Mapping[str, str] = {
        "val_acc": "max",
        "val_loss": "min",
        "val_balanced_acc": "max",
        "val_f1": "max",
        "val_auroc": "max",
        "val_ece": "min",
    }
    answers = "classes"
    output = "vector"
    shapes_need_data = True

    def __init__(
        self,
        data: ImageSource | None = None,
        batch_size: int = 64,
        limit: int | None = None,
        augment: Augment = "none",
        split: Split = Split(),
        loading: Loading = Loading(),
        training: Training = Training(),
    ) -> None:
        self.data = Digits() if data is None else data
        check_parts(
            "image_classification",
            data=(self.data, ImageSource),
            split=(split, Split),
            loading=(loading, Loading),
            training=(training, TrainingSettings),
        )
        check_batching(batch_size, augment, loading.pad, loading.eval_batch_size, loading.num_workers)
        self.training: TrainingSettings = training
        self._division: dict[str, Any] = {**asdict(split), "limit": limit}
        self._batches: dict[str, Any] = {**asdict(loading), "batch_size": batch_size, "augment": augment}
        self._like: str | None = self._batches.pop("like")
        if self._like is not None and not loading.normalise:
            raise SpecError(
                "images that are like those of weights are normalised", where="loading", fix="leave `normalise` out"
            )
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

    @property
    def preprocessing(self) -> dict[str, Json]:
        """What happens to an image before a network gets it; see `nasplug.data.preprocessing.Preprocessing`."""
        return self._read().way(normalise=self._batches["normalise"]).to_plain()

    @property
    def samples(self) -> dict[str, int]:
        """Number of validation samples that a metric is the share of, by its name."""
        return {"val_acc": len(self._read().val.index)}

    def describe_data(self) -> str:
        """Says in one line what the data are, and what was decided by looking at them."""
        return f"{self.data.name}: {self._read()}"

    def remark(self, metrics: Mapping[str, float]) -> str | None:
        """Returns what is striking about the metrics of a trial: that its network answers one class alone.

        Args:
            metrics: Metrics of the trial.
        """
        part = self._read().val
        counts = np.bincount(part.y[part.index], minlength=self.outputs)
        return one_class_alone(metrics, counts, self.class_names)

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
        self.training.check_names(names, type(self).__name__)

    def datamodule(self) -> ImageDataModule:
        """A data module of its own for one Trainer; the data themselves are shared."""
        from nasplug.data.datamodule import ImageDataModule

        return ImageDataModule(self.data, **self._division, **self._batches, prepared=self._read())

    def module(self, network: nn.Module, hyperparameters: Mapping[str, Scalar] | None = None) -> ClassificationModule:
        """A LightningModule that trains `network`, with `hyperparameters` in place of the task's own settings.

        Raises:
            TaskError: A hyperparameter is unknown or out of range.
        """
        from nasplug.tasks.classification_module import ClassificationModule

        proposed = dict(hyperparameters or {})
        self.check_hyperparameters(proposed)
        return ClassificationModule(network, self.outputs, self.training.with_(proposed), self._counts())

    def _counts(self) -> list[int]:
        part = self._read().train
        return [int(count) for count in np.bincount(part.y[part.index], minlength=self.outputs)]

    def _read(self) -> PreparedImages:
        if self._prepared is None:
            self._prepared = prepare_like(self.data, self._like, self._division)
        return self._prepared

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_prepared": None}
