"""An executor whose workers exist on a simulated clock alone: what a driver costs that has a thousand of them."""

from __future__ import annotations

import heapq
import random
import time
from itertools import count

from nasplug.contract.records import Measurement, Trial
from nasplug.run.executors.launch import Launch
from nasplug.run.jobs import Done, Job


class SimulatedExecutor:
    """Trials last as long as a simulated clock says, and cost the driver what they cost it.

    Args:
        mean: Mean length of a trial, in simulated seconds; uniform between half of it and one and a half.
        steps: Number of measurements that a trial reports.
        seed: Seed of the lengths.
    """

    separate = True

    def __init__(self, mean: float = 60.0, steps: int = 0, seed: int = 0) -> None:
        self.mean, self.steps, self.rng = mean, steps, random.Random(seed)
        self.now, self.own, self.done = 0.0, 0.0, 0
        self._events: list[tuple[float, int, Job, int]] = []
        self._waiting: list[Job] = []
        self._order = count()
        self._free = 0

    def start(self, launch: Launch) -> None:
        """Takes the number of workers."""
        self._launch, self._free = launch, launch.workers

    def submit(self, job: Job) -> None:
        """Starts a job on a free worker, or keeps it."""
        started = time.process_time()
        self._waiting.append(job)
        self._begin()
        self.own += time.process_time() - started

    def _begin(self) -> None:
        while self._free and self._waiting:
            self._free -= 1
            job = self._waiting.pop(0)
            length = self.mean * self.rng.uniform(0.5, 1.5)
            for step in range(1, self.steps + 1):
                heapq.heappush(
                    self._events, (self.now + length * step / (self.steps + 1), next(self._order), job, step)
                )
            heapq.heappush(self._events, (self.now + length, next(self._order), job, 0))

    def finished(self) -> list[Done]:
        """Goes on to the next end of a trial, and emits what is measured until then."""
        while True:
            started = time.process_time()
            self.now, _, job, step = heapq.heappop(self._events)
            assert job.trial is not None
            if step:
                measurement = Measurement(step, {"val_acc": 0.5})
                self.own += time.process_time() - started
                self._launch.emit(job.key, measurement)
                continue
            self._free += 1
            self.done += 1
            self._begin()
            trial: Trial = job.trial.with_(state="complete", metrics={"val_acc": self.rng.random()}, seconds=1.0)
            self.own += time.process_time() - started
            return [trial]

    def close(self, *, kill: bool = False) -> None:
        """Forgets everything."""
        self._events.clear()
