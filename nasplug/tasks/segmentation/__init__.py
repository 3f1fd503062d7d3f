"""Segmentation of medical volumes and flat images, with MONAI; needs the extra `medical`.

Importing this package loads nothing heavy: each name is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasplug.lazy import attach

if TYPE_CHECKING:
    from nasplug.tasks.segmentation.data import SegmentationData
    from nasplug.tasks.segmentation.module import SegmentationModule
    from nasplug.tasks.segmentation.settings import Loss, Patches, Scoring
    from nasplug.tasks.segmentation.task import Segmentation

_HOMES = {
    "Loss": "nasplug.tasks.segmentation.settings",
    "Patches": "nasplug.tasks.segmentation.settings",
    "Scoring": "nasplug.tasks.segmentation.settings",
    "Segmentation": "nasplug.tasks.segmentation.task",
    "SegmentationData": "nasplug.tasks.segmentation.data",
    "SegmentationModule": "nasplug.tasks.segmentation.module",
}

__all__ = ["Loss", "Patches", "Scoring", "Segmentation", "SegmentationData", "SegmentationModule"]

__getattr__, __dir__ = attach(__name__, _HOMES)
