"""nasplug searches on Slurm, as one array of workers, with the trials of one process.

submitit is imported when a search starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasplug.lazy import attach

if TYPE_CHECKING:
    from nasplug_slurm.executor import SlurmExecutor as SlurmExecutor

__all__ = ["SlurmExecutor"]

__getattr__, __dir__ = attach(__name__, {"SlurmExecutor": "nasplug_slurm.executor"})
