"""Jobs in worker processes, which may die without taking the study along."""

from __future__ import annotations

from dataclasses import replace

from nasplug.contract.errors import SpecError
from nasplug.run.executors.bootstrap import Serve
from nasplug.run.executors.eventful import EventfulExecutor
from nasplug.run.executors.launch import Launch
from nasplug.run.executors.pool import Pool
from nasplug.run.processes import context


class ProcessExecutor(EventfulExecutor):
    """Reused worker processes, one job each at a time.

    A job whose process dies, for whatever reason and with whatever exit code, is tried once more with nothing beside
    it; dying again, or exceeding the time limit, fails this job and no other.

    Args:
        gpus: Number of GPUs of this machine that are given out to the workers; None for all. Eight workers and four
            GPUs make two workers share one, each with half of its memory.
    """

    worker = "worker process"

    def __init__(self, gpus: int | None = None) -> None:
        super().__init__()
        if gpus is not None and gpus < 1:
            raise SpecError(f"expected a positive number, got {gpus}", where="run.executor: process, gpus")
        self.gpus = gpus

    def engine(self, launch: Launch) -> Pool:
        """Packs what worker processes need; they start with the first job.

        Raises:
            SpecError: An object of a Python caller cannot be pickled.
        """
        return Pool(launch.workers, Serve(replace(launch.bootstrap(), gpus=self.gpus)), context())
