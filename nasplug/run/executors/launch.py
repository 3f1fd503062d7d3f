"""What an executor is started with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.run.assemble import Assembly
from nasplug.run.worker import Emit

if TYPE_CHECKING:
    from nasplug.run.executors.bootstrap import Bootstrap


@dataclass(frozen=True, slots=True)
class Resources:
    """What one trial gets.

    Attributes:
        cpus: Threads, and so cores.
        gpus: Part of a GPU, or several; None shares those that there are evenly among the workers, 0 for the CPU.
    """

    cpus: int = 1
    gpus: float | None = None


@dataclass(frozen=True)
class Launch:
    """The run that an executor works for.

    Attributes:
        assembly: The driver's assembly, for an executor in the same process.
        folder: Folder of artifacts.
        emit: Callback for what running jobs say, to be called in the driver.
        objects: Ready-made objects of Python callers.
    """

    assembly: Assembly
    folder: Path
    emit: Emit
    objects: Mapping[str, object] = field(default_factory=dict)

    @property
    def workers(self) -> int:
        """Number of jobs at the same time."""
        return self.assembly.spec.run.workers

    @property
    def resources(self) -> Resources:
        """What one trial gets."""
        run = self.assembly.spec.run
        return Resources(run.threads, 0 if run.device.startswith("cpu") else run.gpus)

    def bootstrap(self, *, program: bool = True) -> Bootstrap:
        """Returns what a process elsewhere needs to become a worker of this run.

        Args:
            program: Whether that process loads the program that runs here, as multiprocessing does it.

        Raises:
            SpecError: An object cannot be pickled.
        """
        from nasplug.run.executors.bootstrap import Bootstrap

        return Bootstrap.of(self.assembly, self.folder, self.objects, program=program)
