"""Regression, labels and tables: tasks on samples whose targets are numbers, labels or classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

from nasplug.contract.errors import TaskError, did_you_mean
from nasplug.data.prepared import check_batching
from nasplug.data.samples import Divided, Samples, SampleSource, Targets, check_targets
from nasplug.data.settings import Loading, Split
from nasplug.tasks.parts import check_parts
from nasplug.tasks.remarks import one_class_alone
from nasplug.tasks.settings import Training, TrainingSettings, balanced_weights

if TYPE_CHECKING:
    from torch import nn

    from nasplug.data.sample_module import SampleDataModule
    from nasplug.tasks.heads import Head
    from nasplug.tasks.supervised_module import SupervisedModule

LossName = Literal["mse", "l1", "huber"]

#: Directions of the metrics of each kind of targets, the main one first; see `nasplug.tasks.heads`.
_OBJECTIVES: Mapping[str, Mapping[str, str]] = {
    "classes": {
        "val_acc": "max",
        "val_loss": "min",
        "val_balanced_acc": "max",
        "val_f1": "max",
        "val_auroc": "max",
        "val_ece": "min",
    },
    "values": {"val_rmse": "min", "val_loss": "min", "val_mae": "min", "val_r2": "max"},
    "labels": {"val_f1": "max", "val_loss": "min", "val_auroc": "max", "val_ap": "max", "val_acc": "max"},
}


class Tabular:
    """Trains a network on rows of a table; the meaning of the target columns is said by `targets`.

    Inputs are normalised by the training part. Data are read when they are first needed, once per process.

    Args:
        data: Source of the rows.
        targets: Meaning of the target columns: `classes` (one column), `values`, or `labels` of 0 and 1.
        batch_size: Number of rows per training batch.
        loss: Loss for values: mse, l1 or huber.
        split: Rows to hold out, unless the source says so.
        loading: Settings of batches and their loading.
        training: Settings of the training.

    Raises:
        TaskError: A setting is unknown or out of range.
        DataError: The kind of targets is unknown.
        SpecError: A setting of the batches is out of range.
    """

    output = "vector"
    shapes_need_data = True

    def __init__(
        self,
        data: SampleSource,
        targets: Targets = "classes",
        batch_size: int = 64,
        loss: LossName = "mse",
        split: Split = Split(),
        loading: Loading = Loading(),
        training: Training = Training(),
    ) -> None:
        check_parts(
            type(self).__name__.lower(),
            data=(data, SampleSource),
            split=(split, Split),
            loading=(loading, Loading),
            training=(training, TrainingSettings),
        )
        check_batching(batch_size, "none", None, loading.eval_batch_size, loading.num_workers)
        check_targets(targets, type(self).__name__)
        if loading.like is not None:
            raise TaskError(
                "`loading.like` is for image_classification",
                where=type(self).__name__,
                why="inputs are normalised by the training part here",
                fix="leave it out",
            )
        if loss not in get_args(LossName):
            raise TaskError(
                f"there is no loss {loss!r}", where=type(self).__name__, fix=did_you_mean(str(loss), get_args(LossName))
            )
        self.data = data
        self.targets: Targets = targets
        self.objectives: Mapping[str, str] = _OBJECTIVES[targets]
        self.training: TrainingSettings = training
        self._batch_size, self._loss, self._split, self._loading = batch_size, loss, split, loading
        self._divided: Divided | None = None

    @property
    def answers(self) -> str:
        """Meaning of the network's output."""
        return self.targets

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape (F,) of a row, or (C, H, W) of an image."""
        return tuple(self._samples.x.shape[1:])

    @property
    def outputs(self) -> int:
        """Number of classes, values or labels."""
        return len(self._samples.names)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, values or labels in the order of the output."""
        return self._samples.names

    @property
    def preprocessing(self) -> dict[str, Any]:
        """What happens to a sample before the network, and to its values after it."""
        read = self._read()
        plain = {**(read.samples.about or {"kind": "array"})}
        plain |= {"mean": read.mean.ravel().tolist(), "std": read.std.ravel().tolist()}
        if self.targets == "values":
            plain["target"] = {"mean": read.target_mean.tolist(), "std": read.target_std.tolist()}
        return plain

    @property
    def samples(self) -> dict[str, int]:
        """Number of validation samples that a metric is the share of, by its name."""
        return {"val_acc": len(self._read().val)} if self.targets == "classes" else {}

    def describe_data(self) -> str:
        """Says in one line what the data are."""
        return f"{self.data.name}: {self._read()}"

    def remark(self, metrics: Mapping[str, float]) -> str | None:
        """Returns what is striking about the metrics of a trial: that its network answers one class alone."""
        if self.targets != "classes":
            return None
        read = self._read()
        return one_class_alone(metrics, read.counts(read.val), self.class_names)

    def check(self) -> None:
        """Looks quickly whether the data can be there, reading nothing.

        Raises:
            DataError: A file is missing.
        """
        self.data.check()

    def check_hyperparameters(self, names: Iterable[str]) -> None:
        """Refuses hyperparameters that training does not take.

        Raises:
            TaskError: One of the names is unknown.
        """
        self.training.check_names(names, type(self).__name__)

    def datamodule(self) -> SampleDataModule:
        """A data module of its own for one Trainer; the data themselves are shared."""
        from nasplug.data.sample_module import SampleDataModule

        return SampleDataModule(self._read(), self._batch_size, self._loading)

    def module(self, network: nn.Module, hyperparameters: Mapping[str, Any] | None = None) -> SupervisedModule:
        """A LightningModule that trains `network`, with `hyperparameters` in place of the task's own settings.

        Raises:
            TaskError: A hyperparameter is unknown or out of range.
        """
        from nasplug.tasks.supervised_module import SupervisedModule

        proposed = dict(hyperparameters or {})
        self.check_hyperparameters(proposed)
        settings = self.training.with_(proposed)
        return SupervisedModule(network, self._head(settings), self.outputs, settings)

    def _head(self, settings: TrainingSettings) -> Head:
        import torch

        from nasplug.tasks.heads import Classes, Labels, Values

        read = self._read()
        if self.targets == "values":
            return Values(torch.tensor(read.target_std, dtype=torch.float32), self._loss)
        counts = read.counts(read.train)
        balanced = settings.class_weights == "balanced"
        if self.targets == "classes":
            weights = torch.tensor(balanced_weights(counts.tolist()), dtype=torch.float32) if balanced else None
            return Classes(self.outputs, weights)
        absent = (len(read.train) - counts) / counts.clip(1)
        return Labels(self.outputs, torch.tensor(absent, dtype=torch.float32) if balanced else None)

    @property
    def _samples(self) -> Samples:
        return self._read().samples

    def _read(self) -> Divided:
        if self._divided is None:
            self._divided = Divided.of(self.data.load(self.targets), self._split)
        return self._divided

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_divided": None}


class Regression(Tabular):
    """Trains a network to predict numbers from rows of a table or from images; scored by `val_rmse`.

    Targets are brought to mean 0 and standard deviation 1 over the training part; metrics are in the units of the data.

    Args:
        data: Source of the samples.
        batch_size: Number of samples per training batch.
        loss: Loss: mse, l1 or huber.
        split: Samples to hold out, unless the source says so.
        loading: Settings of batches and their loading.
        training: Settings of the training.

    Raises:
        TaskError: A setting is unknown or out of range.
        SpecError: A setting of the batches is out of range.
    """

    def __init__(
        self,
        data: SampleSource,
        batch_size: int = 64,
        loss: LossName = "mse",
        split: Split = Split(),
        loading: Loading = Loading(),
        training: Training = Training(),
    ) -> None:
        super().__init__(data, "values", batch_size, loss, split, loading, training)


class Multilabel(Tabular):
    """Trains a network to find the labels of a row or an image, any number of which may be right; scored by `val_f1`.

    Args:
        data: Source of the samples.
        batch_size: Number of samples per training batch.
        split: Samples to hold out, unless the source says so.
        loading: Settings of batches and their loading.
        training: Settings of the training.

    Raises:
        TaskError: A setting is unknown or out of range.
        SpecError: A setting of the batches is out of range.
    """

    def __init__(
        self,
        data: SampleSource,
        batch_size: int = 64,
        split: Split = Split(),
        loading: Loading = Loading(),
        training: Training = Training(),
    ) -> None:
        super().__init__(data, "labels", batch_size, "mse", split, loading, training)
