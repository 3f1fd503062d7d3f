"""Training of one classifying network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nasplug.tasks.heads import Classes
from nasplug.tasks.settings import TrainingSettings, balanced_weights
from nasplug.tasks.supervised_module import SupervisedModule


class ClassificationModule(SupervisedModule):
    """Trains a network with cross-entropy and scores its answers; see `nasplug.tasks.heads.Classes` for the figures.

    Args:
        network: Takes float images (N, C, H, W), returns logits (N, num_classes).
        num_classes: Number of classes.
        settings: Optimiser, schedule and losses; None means those of `Training()`.
        counts: Number of training images of each class, for balanced weights of classes.
    """

    def __init__(
        self,
        network: nn.Module,
        num_classes: int,
        settings: TrainingSettings | None = None,
        counts: Sequence[int] | None = None,
    ) -> None:
        weights: Tensor | None = None
        if settings is not None and settings.class_weights == "balanced" and counts is not None:
            weights = torch.tensor(balanced_weights(counts), dtype=torch.float32)
        super().__init__(network, Classes(num_classes, weights), num_classes, settings)
        self.num_classes = num_classes
