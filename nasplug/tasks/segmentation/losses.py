"""Losses of MONAI for one output or several of falling resolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nasplug.optional import require
from nasplug.tasks.segmentation.settings import Loss


class SegmentationLoss(nn.Module):
    """Mean loss of a batch; of several outputs, each with half the weight of the one before (deep supervision).

    Labels are brought to a coarser output by the nearest neighbour. The weights sum to 1.

    Args:
        settings: Settings of the loss.
        weights: Weight of each class (K,), or None.
        smoothing: Part of the target that is spread over all classes in the cross-entropy.
    """

    def __init__(self, settings: Loss, weights: Tensor | None = None, smoothing: float = 0.0) -> None:
        super().__init__()
        losses = require("monai.losses", extra="medical", purpose="train segmentation")
        common: dict[str, Any] = {
            "include_background": settings.background,
            "to_onehot_y": True,
            "softmax": True,
            "batch": settings.batch,
        }
        self.loss: nn.Module
        if settings.name == "dice":
            own = weights if weights is None or settings.background else weights[1:]
            self.loss = losses.DiceLoss(weight=own, **common)
        elif settings.name == "dice_ce":
            self.loss = losses.DiceCELoss(weight=weights, label_smoothing=smoothing, **common)
        elif settings.name == "dice_focal":
            own = weights if weights is None or settings.background else weights[1:]
            focal = losses.FocalLoss(
                include_background=settings.background,
                to_onehot_y=True,
                use_softmax=True,
                gamma=settings.gamma,
                weight=own,
            )
            self.loss = _Sum(losses.DiceLoss(weight=own, **common), focal)
        else:
            self.loss = losses.TverskyLoss(alpha=settings.alpha, beta=1.0 - settings.alpha, **common)

    def forward(self, outputs: Tensor | Sequence[Tensor], label: Tensor) -> Tensor:
        """Loss of logits (N, K, *size), or of several with falling sizes, and labels (N, 1, *size)."""
        several = [outputs] if isinstance(outputs, Tensor) else list(outputs)
        weights = [0.5**level for level in range(len(several))]
        total: Tensor | float = 0.0
        for weight, logits in zip(weights, several, strict=True):
            total = total + weight / sum(weights) * self.loss(logits.float(), _fitting(label, logits))
        assert isinstance(total, Tensor)
        return total


class _Sum(nn.Module):
    """The sum of two losses. MONAI's DiceFocalLoss would take the focal part of sigmoids."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        return torch.stack([part(logits, label) for part in self.parts]).sum()


def outputs_of(answer: object) -> list[Tensor]:
    """Returns the outputs of a network, the one of full resolution first.

    Args:
        answer: One tensor (N, K, *size), a sequence of those, or one tensor (N, heads, K, *size) as MONAI's DynUNet
            returns it in training.
    """
    if isinstance(answer, Tensor):
        return [answer]
    if isinstance(answer, (list, tuple)):
        return list(answer)
    raise TypeError(f"a network for segmentation returns a tensor or a list of them, not {type(answer).__name__}")


def _fitting(label: Tensor, logits: Tensor) -> Tensor:
    size = logits.shape[2:]
    if label.shape[2:] == size:
        return label
    return torch.nn.functional.interpolate(label.float(), size=tuple(size), mode="nearest-exact")
