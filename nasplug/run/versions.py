"""What a run ran with: versions of everything that can change a result, and the machine without names."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import TYPE_CHECKING

from nasplug.plugins.discovery import version

if TYPE_CHECKING:
    from nasplug.contract.jsondata import Json


def versions() -> dict[str, str]:
    """Installed versions of everything that can change a result."""
    found = {"nasplug": version(), "python": platform.python_version()}
    for name in ("numpy", "scipy", "torch", "pytorch-lightning", "torchmetrics", "timm", "optuna", "pymoo"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    for point in metadata.entry_points(group="nasplug"):
        if point.dist is not None:
            found[point.dist.name] = point.dist.version
    return found


def machine() -> dict[str, Json]:
    """What the run ran on, without names."""
    return {"system": platform.system(), "machine": platform.machine(), "cores": os.cpu_count()}
