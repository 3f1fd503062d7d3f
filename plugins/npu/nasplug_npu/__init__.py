"""A configurable sparse neural processing unit: performance, energy and area models, as a nasplug plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasplug.lazy import attach

if TYPE_CHECKING:
    from nasplug_npu.area_model import area
    from nasplug_npu.config import NPUConfig
    from nasplug_npu.exploration import Exploration, explore
    from nasplug_npu.model.rows import Batch
    from nasplug_npu.presets import preset, preset_names
    from nasplug_npu.rates import RateConfig
    from nasplug_npu.sweeping import sweep
    from nasplug_npu.unit import NPU, CostTable

_HOMES = {
    "NPU": "nasplug_npu.unit",
    "NPUConfig": "nasplug_npu.config",
    "RateConfig": "nasplug_npu.rates",
    "CostTable": "nasplug_npu.unit",
    "Batch": "nasplug_npu.model.rows",
    "preset": "nasplug_npu.presets",
    "preset_names": "nasplug_npu.presets",
    "area": "nasplug_npu.area_model",
    "sweep": "nasplug_npu.sweeping",
    "explore": "nasplug_npu.exploration",
    "Exploration": "nasplug_npu.exploration",
}
__all__ = [
    "NPU",
    "Batch",
    "CostTable",
    "Exploration",
    "NPUConfig",
    "RateConfig",
    "area",
    "explore",
    "preset",
    "preset_names",
    "sweep",
]

__getattr__, __dir__ = attach(__name__, _HOMES)
