"""Groups of settings of the segmentation task, as records of plain data; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from nasplug.contract.errors import SpecError, did_you_mean

LossName = Literal["dice", "dice_ce", "dice_focal", "tversky"]
AugmentName = Literal["none", "flips", "standard"]
When = Literal["never", "test", "always"]


@dataclass(frozen=True, kw_only=True)
class Patches:
    """What a network is trained on.

    Attributes:
        size: Size of a patch along each axis; slices lie across the last one in 3-D. None means what the data propose.
        batch_size: Number of patches per step; None means what data and memory propose.
        per_epoch: Number of patches of an epoch; None means one of each training case in 3-D, of each slice in 2-D.
        foreground: Part of the patches whose centre is drawn in a class of the foreground, each class alike; the others
            are centred on the background.
        pad: Whether a patch may be larger than the largest volume. Volumes that are smaller than the patch are padded
            with 0 in any case.
        augment: Augmentation: `none`, `flips` along every axis, or `standard`, which also rotates, scales, blurs, adds
            noise and changes brightness and contrast.
        num_workers: Number of processes that cut patches ahead of time.
        memory_gib: Memory that the proposals may fill, in GiB.

    Raises:
        SpecError: A value is unknown or out of range.
    """

    size: list[int] | None = None
    batch_size: int | None = None
    per_epoch: int | None = None
    foreground: float = 0.5
    pad: bool = False
    augment: AugmentName = "flips"
    num_workers: int = 0
    memory_gib: float = 8.0

    def __post_init__(self) -> None:
        where = "patches"
        for name, value in (("batch_size", self.batch_size), ("per_epoch", self.per_epoch)):
            if value is not None and value < 1:
                raise SpecError(f"{name} must be > 0, got {value}", where=where)
        if not 0.0 <= self.foreground <= 1.0:
            raise SpecError(f"foreground must be in [0, 1], got {self.foreground}", where=where)
        if self.num_workers < 0 or not self.memory_gib > 0:
            raise SpecError(f"num_workers={self.num_workers}, memory_gib={self.memory_gib}", where=where)
        _known("augment", self.augment, get_args(AugmentName), where)


@dataclass(frozen=True, kw_only=True)
class Loss:
    """Loss of the training, from MONAI.

    Attributes:
        name: `dice`, `dice_ce` (with cross-entropy), `dice_focal` (with the focal loss) or `tversky`.
        background: Whether the background counts as a class in the Dice and Tversky parts.
        batch: Whether Dice is computed over all patches of a batch together.
        alpha: Weight of false positives in `tversky`; that of missed voxels is `1 - alpha`.
        gamma: Exponent of the focal loss.

    Raises:
        SpecError: A value is unknown or out of range.
    """

    name: LossName = "dice_ce"
    background: bool = False
    batch: bool = True
    alpha: float = 0.3
    gamma: float = 2.0

    def __post_init__(self) -> None:
        _known("loss", self.name, get_args(LossName), "loss")
        if not 0.0 <= self.alpha <= 1.0 or not self.gamma >= 0.0:
            raise SpecError(f"alpha={self.alpha}, gamma={self.gamma}", where="loss", fix="take alpha from 0 to 1")


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """How whole volumes are segmented and judged.

    Attributes:
        overlap: Part of a window that the next one covers again.
        flips: Whether scores are averaged over all flips of the axes, in validation and test.
        windows: Number of windows per batch.
        surface: Time at which distances of surfaces are computed, which takes longer than Dice: `never`, `test` or
            `always`.
        tolerance_mm: Distance of surfaces that the surface Dice forgives, in millimetres.

    Raises:
        SpecError: A value is unknown or out of range.
    """

    overlap: float = 0.5
    flips: bool = False
    windows: int = 4
    surface: When = "test"
    tolerance_mm: float = 1.0

    def __post_init__(self) -> None:
        _known("surface", self.surface, get_args(When), "scoring")
        if not 0.0 <= self.overlap < 1.0 or self.windows < 1 or not self.tolerance_mm > 0:
            raise SpecError(
                f"overlap={self.overlap}, windows={self.windows}, tolerance_mm={self.tolerance_mm}",
                where="scoring",
                fix="take an overlap in [0, 1), at least one window and a tolerance above 0",
            )


def _known(name: str, value: str, known: tuple[str, ...], where: str) -> None:
    if value not in known:
        raise SpecError(f"there is no {name} {value!r}", where=where, fix=did_you_mean(str(value), known))
