"""What the answers of a network mean: the loss that trains them, and the figures that judge them."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics.classification import (
    MulticlassAUROC,
    MulticlassCalibrationError,
    MulticlassConfusionMatrix,
    MultilabelAUROC,
    MultilabelAveragePrecision,
    MultilabelConfusionMatrix,
)
from torchmetrics.regression import MeanAbsoluteError, MeanSquaredError, R2Score


class Head(nn.Module, ABC):
    """A loss and metrics of torchmetrics for one meaning of answers (N, outputs).

    Attributes:
        objectives: Direction of every figure that `compute` returns, without the name of the stage.
    """

    objectives: ClassVar[Mapping[str, str]]

    @abstractmethod
    def loss(self, answers: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """Returns the mean loss of a training batch; `smoothing` is for classes and labels."""

    @abstractmethod
    def plain_loss(self, answers: Tensor, targets: Tensor) -> Tensor:
        """Returns the mean loss that validation and test report."""

    @abstractmethod
    def update(self, answers: Tensor, targets: Tensor) -> None:
        """Adds a batch to the figures of an epoch."""

    @abstractmethod
    def compute(self) -> dict[str, Tensor]:
        """Returns the figures of the epoch by name, and begins a new one."""

    @property
    def confusion(self) -> list[list[int]] | None:
        """Counts of the last epoch: row by true class, column by answered class; None where there are no classes."""
        return None


class Classes(Head):
    """One class of several is right; answers are logits (N, K), targets int64 (N,).

    `acc` is the fraction of right answers, `balanced_acc` the mean recall of the classes that occur, `f1` their mean
    F1, `auroc` the mean area under the curve of each class against the others, and `ece` the expected calibration error
    in 15 bins (Guo, Pleiss, Sun and Weinberger, ICML 2017).

    Args:
        num_classes: Number of classes.
        weights: Weight of each class in the training loss, or None.
    """

    objectives = {"acc": "max", "balanced_acc": "max", "f1": "max", "auroc": "max", "ece": "min"}  # noqa: RUF012

    def __init__(self, num_classes: int, weights: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("weights", weights, persistent=False)
        options: dict[str, Any] = {"num_classes": num_classes, "validate_args": False}
        self._matrix = MulticlassConfusionMatrix(**options)
        self._auroc = MulticlassAUROC(average="none", **options)
        self._ece = MulticlassCalibrationError(n_bins=15, **options)
        self._counts: Tensor | None = None

    def loss(self, answers: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """Returns the cross-entropy, weighted and smoothed."""
        weights: Any = self.weights
        return functional.cross_entropy(answers, targets, weight=weights, label_smoothing=smoothing)

    def plain_loss(self, answers: Tensor, targets: Tensor) -> Tensor:
        """Returns the plain cross-entropy."""
        return functional.cross_entropy(answers, targets)

    def update(self, answers: Tensor, targets: Tensor) -> None:
        """Adds a batch."""
        scores = answers.float().softmax(1)
        self._matrix.update(scores, targets)
        self._auroc.update(scores, targets)
        self._ece.update(scores, targets)

    def compute(self) -> dict[str, Tensor]:
        """Returns the figures."""
        matrix = self._matrix.compute()
        self._counts = matrix.cpu()
        right, true, answered = matrix.diag().double(), matrix.sum(1).double(), matrix.sum(0).double()
        present = true > 0
        with _without_warnings():  # of classes that do not occur, which are left out
            areas = self._auroc.compute()
        found = {
            "acc": right.sum() / true.sum(),
            "balanced_acc": (right / true.clamp_min(1))[present].mean(),
            "f1": (2 * right / (true + answered).clamp_min(1))[present].mean(),
            "auroc": areas[present & (true < true.sum())].mean(),
            "ece": self._ece.compute(),
        }
        for metric in (self._matrix, self._auroc, self._ece):
            metric.reset()
        return {name: value.float() for name, value in found.items()}

    @property
    def confusion(self) -> list[list[int]] | None:
        """Counts of the last epoch."""
        return None if self._counts is None else [[int(count) for count in row] for row in self._counts]


class Labels(Head):
    """Any number of labels is right; answers are logits (N, K), targets 0 or 1 (N, K).

    `acc` is the fraction of right single decisions, `f1` the mean F1 over labels at the probability 0.5, `auroc` and
    `ap` the mean areas under the receiver operating characteristic and under precision over recall.

    Args:
        num_labels: Number of labels.
        weights: Weight of the positive cases of each label in the training loss, or None.
    """

    objectives = {"f1": "max", "auroc": "max", "ap": "max", "acc": "max"}  # noqa: RUF012

    def __init__(self, num_labels: int, weights: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("weights", weights, persistent=False)
        options: dict[str, Any] = {"num_labels": num_labels, "validate_args": False}
        self._matrix = MultilabelConfusionMatrix(**options)
        self._auroc = MultilabelAUROC(average="none", **options)
        self._ap = MultilabelAveragePrecision(average="none", **options)

    def loss(self, answers: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """Returns the binary cross-entropy over all labels, weighted and smoothed."""
        smooth = targets * (1 - smoothing) + 0.5 * smoothing
        weights: Any = self.weights
        return functional.binary_cross_entropy_with_logits(answers, smooth, pos_weight=weights)

    def plain_loss(self, answers: Tensor, targets: Tensor) -> Tensor:
        """Returns the plain binary cross-entropy."""
        return functional.binary_cross_entropy_with_logits(answers, targets)

    def update(self, answers: Tensor, targets: Tensor) -> None:
        """Adds a batch."""
        scores, true = answers.float().sigmoid(), targets.long()
        for metric in (self._matrix, self._auroc, self._ap):
            metric.update(scores, true)

    def compute(self) -> dict[str, Tensor]:
        """Returns the figures; labels that always or never occur have no area and are left out of the means."""
        matrix = self._matrix.compute().double()  # (K, 2, 2)
        negative, false, missed, right = matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 1, 0], matrix[:, 1, 1]
        positives = right + missed
        mixed = (positives > 0) & (negative + false > 0)
        with _without_warnings():
            areas, precisions = self._auroc.compute(), self._ap.compute()
        found = {
            "f1": (2 * right / (2 * right + false + missed).clamp_min(1))[positives > 0].mean(),
            "auroc": areas[mixed].mean(),
            "ap": precisions[mixed].mean(),
            "acc": (right + negative).sum() / matrix.sum(),
        }
        for metric in (self._matrix, self._auroc, self._ap):
            metric.reset()
        return {name: value.float() for name, value in found.items()}


class Values(Head):
    """Numbers; answers and targets (N, T) are in units of the training targets' standard deviation.

    `rmse`, `mae` and `r2` are in the units of the data, means over the targets.

    Args:
        std: Standard deviation of each training target (T,), which turns figures into the units of the data.
        kind: Loss: `mse`, `l1` or `huber`.
    """

    objectives = {"rmse": "min", "mae": "min", "r2": "max"}  # noqa: RUF012
    std: Tensor

    def __init__(self, std: Tensor, kind: str = "mse") -> None:
        super().__init__()
        self.register_buffer("std", std, persistent=False)
        self._loss: nn.Module = {"mse": nn.MSELoss, "l1": nn.L1Loss, "huber": nn.HuberLoss}[kind]()
        count = len(std)
        self._squares = MeanSquaredError(num_outputs=count)
        self._absolutes = MeanAbsoluteError(num_outputs=count)
        self._r2 = R2Score()
        self._seen = 0

    def loss(self, answers: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """Returns the loss; there is nothing to smooth."""
        loss: Tensor = self._loss(answers, targets)
        return loss

    def plain_loss(self, answers: Tensor, targets: Tensor) -> Tensor:
        """Returns the same loss."""
        loss: Tensor = self._loss(answers, targets)
        return loss

    def update(self, answers: Tensor, targets: Tensor) -> None:
        """Adds a batch."""
        answers = answers.float()
        self._seen += len(answers)
        for metric in (self._squares, self._absolutes, self._r2):
            metric.update(answers, targets)

    def compute(self) -> dict[str, Tensor]:
        """Returns the figures; `r2` of a single sample is not a number."""
        found = {
            "rmse": (self._squares.compute().sqrt() * self.std).mean(),
            "mae": (self._absolutes.compute() * self.std).mean(),
            "r2": self._r2.compute() if self._seen > 1 else torch.tensor(float("nan")),
        }
        for metric in (self._squares, self._absolutes, self._r2):
            metric.reset()
        self._seen = 0
        return found


@contextmanager
def _without_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
