"""Ablation studies: what the parts of a module, its data and its training are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasplug.lazy import attach

if TYPE_CHECKING:
    from nasplug_ablation.report.report import AblationReport
    from nasplug_ablation.setup import Setup
    from nasplug_ablation.study import AblationStudy

_HOMES = {
    "AblationStudy": "nasplug_ablation.study",
    "AblationReport": "nasplug_ablation.report.report",
    "Setup": "nasplug_ablation.setup",
}
__all__ = ["AblationReport", "AblationStudy", "Setup"]

__getattr__, __dir__ = attach(__name__, _HOMES)
