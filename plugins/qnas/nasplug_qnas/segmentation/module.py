"""The loss and the metric of SegQNAS around nasplug's segmentation module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nasplug.tasks.segmentation.module import SegmentationModule

#: Slices of a batch of the published metric.
BATCH = 32
_EPS = 1e-7


class PooledDice(nn.Module):
    """1 - soft Dice of all foreground classes and the whole batch together; of several outputs, the finest counts."""

    def forward(self, outputs: Tensor | Sequence[Tensor], label: Tensor) -> Tensor:
        """Loss of logits (N, K, *size) and labels (N, 1, *size)."""
        logits = outputs if isinstance(outputs, Tensor) else outputs[0]
        chances = logits.float().softmax(1)[:, 1:]
        common, total = _overlap(chances, label)
        return 1.0 - 2.0 * common.sum() / (total.sum() + _EPS)


class RecipeModule(SegmentationModule):
    """Trains with the pooled Dice, and logs `val_batch_dice` as well; see `RecipeSegmentation`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.loss = self.plain_loss = PooledDice()
        self._slices: list[Tensor] = []

    def judge(self, logits: Tensor, label: Tensor) -> None:
        """Takes note of the slices of a case that hold foreground.

        Args:
            logits: Logits (K, X, Y, Z) on the grid of the networks.
            label: True classes (X, Y, Z) on the same grid.
        """
        slices = logits.softmax(0).movedim(-1, 0)[:, 1:]  # (Z, K - 1, X, Y)
        label = label.movedim(-1, 0)[:, None].long()
        held = label.flatten(1).any(1)
        common, total = _overlap((slices[held] > 0.5).float(), label[held])
        self._slices.append(torch.stack([common, total], 1))

    def judgement(self) -> dict[str, float]:
        """Returns the mean over batches of 32 slices."""
        slices = torch.cat(self._slices) if self._slices else torch.zeros(0, 2)
        self._slices = []
        batches = [batch.sum(0) for batch in torch.split(slices, BATCH) if len(batch)]
        if not batches:
            return {}
        return {"batch_dice": float(torch.stack([2.0 * common / (total + _EPS) for common, total in batches]).mean())}


def _overlap(chances: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Common part and sum of both (N,) of foreground chances (N, K - 1, *size) and labels (N, 1, *size)."""
    classes = torch.arange(1, chances.shape[1] + 1, device=label.device)
    true = (label == classes.view(1, -1, *[1] * (label.ndim - 2))).float()
    return (chances * true).flatten(1).sum(1), (chances + true).flatten(1).sum(1)
