"""Metrics of a sequence of stages, as torchmetrics: accuracy of seen classes, forgetting, transfer both ways.

All of them read one matrix: R[i, j] is the accuracy on the classes of stage j after stage i was learned, and R[-1, j]
that of the network before any training. Definitions: Lopez-Paz and Ranzato, "Gradient Episodic Memory for Continual
Learning", NIPS 2017 (transfer), and Chaudhry, Dokania, Ajanthan and Torr, "Riemannian Walk for Incremental Learning",
ECCV 2018 (forgetting).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection

from nasplug_cgap.sequence.schedule import ClassSequence


class SequenceMetric(Metric):
    """Counts right answers by the stage after which they were given and the stage that brings the true class.

    Args:
        sequence: Classes of the stages.
        by_stage: Whether answers are chosen among the classes of the sample's own stage (a head for each stage) instead
            of among all classes (one head for all).
    """

    higher_is_better: bool | None = True
    full_state_update = False
    right: Tensor
    total: Tensor

    def __init__(self, sequence: ClassSequence, by_stage: bool = False) -> None:
        super().__init__()
        stages = len(sequence)
        self.by_stage = by_stage
        # One row more for the network before any training.
        self.add_state("right", torch.zeros(stages + 1, stages, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("total", torch.zeros(stages + 1, stages, dtype=torch.int64), dist_reduce_fx="sum")
        owner = torch.tensor([stage for _, stage in sorted(sequence.stage_of.items())])
        self.register_buffer("owner", owner, persistent=False)
        self.persistent(True)

    def update(self, logits: Tensor, targets: Tensor, stage: int) -> None:
        """Adds a batch.

        Args:
            logits: Float tensor (N, K) of answers.
            targets: int64 tensor (N,) of true classes.
            stage: Index of the stage that was learned last; -1 before any training.
        """
        owner: Tensor = self.owner  # type: ignore[assignment]
        stages = owner[targets]
        if self.by_stage:
            logits = logits.masked_fill(owner[None, :] != stages[:, None], -torch.inf)
        hits = logits.argmax(1) == targets
        size = self.total.shape[1]
        self.total[stage + 1] += torch.bincount(stages, minlength=size)
        self.right[stage + 1] += torch.bincount(stages[hits], minlength=size)

    @property
    def matrix(self) -> Tensor:
        """Accuracies, float tensor (1 + stages, stages); NaN where nothing was measured. Row 0 is before training."""
        return self.right.double() / self.total

    @property
    def last(self) -> int:
        """Index of the last stage after which something was measured; -1 before."""
        measured = self.total.sum(1).nonzero()
        return int(measured.max()) - 1 if len(measured) else -1

    def compute(self) -> Tensor:
        """Returns the accuracy on all classes after the last stage, those that were not seen included."""
        row = self.last + 1
        return (self.right[row].sum().double() / self.total[row].sum()).float()


class SeenAccuracy(SequenceMetric):
    """Accuracy, after the last stage, on the samples of all classes seen so far."""

    def compute(self) -> Tensor:
        """Returns it."""
        row = self.last + 1
        seen = slice(0, max(1, row))
        return (self.right[row, seen].sum().double() / self.total[row, seen].sum()).float()


class Forgetting(SequenceMetric):
    """Mean, over all stages but the last, of the best accuracy that a stage once had minus the one it has now."""

    higher_is_better = False

    def compute(self) -> Tensor:
        """Returns it; 0 while there is nothing to forget."""
        last = self.last
        if last < 1:
            return torch.tensor(0.0)
        accuracies = self.matrix[1:]
        drops = [accuracies[j:last, j].max() - accuracies[last, j] for j in range(last)]
        return torch.stack(drops).mean().float()


class BackwardTransfer(SequenceMetric):
    """Mean, over all stages but the last, of the accuracy now minus the one right after the stage was learned."""

    def compute(self) -> Tensor:
        """Returns it; 0 after the first stage."""
        last = self.last
        if last < 1:
            return torch.tensor(0.0)
        accuracies = self.matrix[1:]
        return torch.stack([accuracies[last, j] - accuracies[j, j] for j in range(last)]).mean().float()


class ForwardTransfer(SequenceMetric):
    """Mean, over all stages but the first, of the accuracy right before the stage minus that of the untrained network.

    A single head cannot name a class before it has seen it, so that this is only informative with `by_stage`.
    """

    def __init__(self, sequence: ClassSequence, by_stage: bool = True) -> None:
        super().__init__(sequence, by_stage)

    def compute(self) -> Tensor:
        """Returns it; 0 before the second stage."""
        last = self.last
        if last < 1:
            return torch.tensor(0.0)
        matrix = self.matrix
        return torch.stack([matrix[j, j] - matrix[0, j] for j in range(1, last + 1)]).mean().float()


def sequence_metrics(sequence: ClassSequence) -> MetricCollection:
    """Returns all of them by name.

    `acc` is on all classes; `stage_acc` and `fwt` are with a head for each stage, the others with one for all.

    Args:
        sequence: Classes of the stages.
    """
    return MetricCollection(
        {
            "acc": SequenceMetric(sequence),
            "seen_acc": SeenAccuracy(sequence),
            "forgetting": Forgetting(sequence),
            "bwt": BackwardTransfer(sequence),
            "stage_acc": SeenAccuracy(sequence, by_stage=True),
            "fwt": ForwardTransfer(sequence),
        },
        compute_groups=False,
    )
