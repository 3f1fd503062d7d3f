"""nasplug searches on a Ray cluster, with the trials of one process.

Ray is imported when a search starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasplug.lazy import attach

if TYPE_CHECKING:
    from nasplug_ray.executor import RayExecutor as RayExecutor

__all__ = ["RayExecutor"]

__getattr__, __dir__ = attach(__name__, {"RayExecutor": "nasplug_ray.executor"})
