"""Works through the queue: many trainings at the same time, in processes, until the time is over."""

from __future__ import annotations

import gc
import importlib
import math
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from pebble import ProcessPool

from campaign_tasks.entries import Entry, Settings
from campaign_tasks.records import Store, origin, resolve
from nasplug.contract.wording import plural

#: A training is started if so many times its expected seconds are left.
MARGIN = 1.1


def perform(entry: Entry, settings: Settings, copy: int) -> dict[str, Any] | None:
    """Runs in a process of the pool, and writes the record unless this is one of several copies.

    A process whose device may be in disorder ends itself.
    """
    import torch

    torch.set_num_threads(1)
    store, started = Store(settings.out), time.perf_counter()
    arguments = dict(entry.arguments) | ({"copy": copy, "copies": entry.copies} if entry.copies > 1 else {})
    broken = False
    try:
        result = resolve(entry.task)(arguments, settings)
        seconds = time.perf_counter() - started
        if entry.copies > 1:
            return {"result": result, "origin": origin(settings.device)}
        content = {"state": "done", "result": result, "seconds": seconds, "origin": origin(settings.device)}
        broken = "broken" in result
        store.write(entry, content)
    except Exception as error:
        if entry.copies > 1:
            raise
        store.failed(entry, error, time.perf_counter() - started)
        broken = settings.device == "cuda"
    if broken:
        os._exit(70)  # not 0, which would pass for an orderly end
    if settings.device == "cuda":
        gc.collect()
        torch.cuda.empty_cache()
    return None


def warm(device: str, images: Path | None) -> None:
    """Loads what all trainings need, opens the device, and decodes the images into the cache."""
    import torch

    if images is not None:
        from nasplug.data import Npz

        Npz(str(images)).load()
    for name in ("pytorch_lightning", "nasplug_darts_lp.folding"):
        importlib.import_module(name)
    torch.zeros(1, device=device)
    time.sleep(0.2)  # so that every process of the pool takes one of these


class Runner:
    """One call of the campaign.

    Args:
        entries: The queue.
        store: Store of the records.
        settings: Settings of the trainings.
        deadline: `time.monotonic()` at which it must be over.
        retry: Whether failed trainings are done again.
        bundles: Callback, called after every record.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        store: Store,
        settings: Settings,
        deadline: float,
        *,
        retry: bool = False,
        bundles: Any = None,
    ) -> None:
        self.store, self.settings, self.deadline, self.bundles = store, settings, deadline, bundles
        self.slots = settings.slots
        self.took: dict[str, list[float]] = {}
        self.states: dict[str, str] = {}
        self.entries = {entry.key: entry for entry in entries}
        for entry in entries:
            found = store.read(entry)
            if found is not None and not (retry and found["state"] == "failed"):
                self.states[entry.key] = found["state"]
                self.took.setdefault(entry.family, []).append(found["seconds"])
        self.running: dict[Future[Any], tuple[Entry, int]] = {}
        self.started: dict[str, float] = {}
        self.results: dict[str, dict[int, Any]] = {}
        self.again: set[str] = set()

    def expected(self, entry: Entry) -> float:
        """Seconds: the median of its family, else what the timings say, else what the entry says."""
        took = self.took.get(entry.family) if entry.family else None
        if took:
            return statistics.median(took)
        measured: float | None = resolve("checks:expected")(self.store, entry, self.slots)
        return entry.seconds if measured is None else measured

    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()

    def ready(self, entry: Entry) -> bool:
        """Whether it can be started now."""
        if entry.key in self.states or entry.key in self.started:
            return False
        if any(self.states.get(need) != "done" for need in entry.needs):
            return False
        if not all((self.settings.data / name).is_file() for name in entry.files) or self.lacks(entry):
            return False
        return entry.goes_on or MARGIN * self.expected(entry) <= self.left()

    def lacks(self, entry: Entry) -> bool:
        """Whether the weights it starts from are missing."""
        return bool(entry.weights) and not (self.settings.out / entry.weights).is_file()

    def limit(self, entry: Entry) -> int:
        """How many trainings may run at the same time once it has started."""
        return self.slots if entry.packed else self.settings.slots

    def start(self, pool: ProcessPool) -> None:
        """Starts what can be started, the most valuable first; what waits for a running one keeps its place."""
        taken = len(self.running)
        for entry in self.entries.values():
            if taken >= self.settings.slots:
                return
            if not self.ready(entry):
                taken += any(need in self.started and need not in self.states for need in entry.needs)
                continue
            if taken >= self.limit(entry):
                return
            lonely = entry.alone or entry.copies > 1
            if lonely and self.running:
                return  # waits until everything else has ended
            self.started[entry.key] = time.monotonic()
            self.store.path(entry).unlink(missing_ok=True)  # of an earlier failure
            for copy in range(entry.copies):
                future = pool.schedule(perform, args=(entry, self.settings, copy))
                self.running[future] = (entry, copy)
            taken += 1
            if lonely:
                return

    def finish(self, future: Future[Any]) -> None:
        """Takes note of a training that ended, and writes what its process could not write."""
        entry, copy = self.running.pop(future)
        seconds = time.monotonic() - self.started[entry.key]
        error = future.exception()
        if entry.key in self.states:
            return  # another copy failed
        if entry.copies > 1 and error is None:
            found = self.results.setdefault(entry.key, {})
            found[copy] = future.result()
            if len(found) < entry.copies:
                return
            parts = [found[place]["result"] for place in sorted(found)]
            whole = {"state": "done", "result": parts, "seconds": seconds, "origin": found[0]["origin"]}
            self.store.write(entry, whole)
        record = self.store.read(entry)
        if record is None:  # the process died
            self.store.failed(entry, error or RuntimeError("nothing was recorded"), seconds)
            record = self.store.read(entry) or {}
        if record["state"] == "failed":
            print(f"{entry.key} failed: {record['error']}", file=sys.stderr, flush=True)
            if record["error"].startswith("CaptureError") and entry.key not in self.again:
                self.again.add(entry.key)
                del self.started[entry.key]
                return
        else:
            self.took.setdefault(entry.family, []).append(seconds)
            print(f"{entry.key}: {seconds:.1f} s, {self.left():.0f} s left", flush=True)
        self.states[entry.key] = record["state"]
        if self.bundles is not None:
            self.bundles()

    def run(self) -> None:
        """Works until the queue is done or the time is over; what then still runs is ended."""
        lost = [
            e for e in self.entries.values() if self.lacks(e) and all(self.states.get(n) == "done" for n in e.needs)
        ]
        for name, count in Counter(entry.weights for entry in lost if entry.key not in self.states).items():
            left = plural(count, "training is", "trainings are")
            print(f"{name} is missing, which an earlier call wrote: {left} left out", flush=True)
        pool = ProcessPool(max_workers=self.settings.slots, context=get_context("spawn"))
        try:
            if self.settings.device == "cuda":
                for place in range(self.settings.slots):
                    images = self.settings.data / "cifar10_jpeg.npz"
                    first = images if place == 0 and images.is_file() else None
                    pool.schedule(warm, args=(self.settings.device, first))
            while self.left() > 0:
                self.slots = min(self.settings.slots, resolve("checks:best_slots")(self.store) or math.inf)
                self.start(pool)
                if not self.running:
                    break
                ended, _ = wait(self.running, timeout=max(0.0, self.left()), return_when=FIRST_COMPLETED)
                for future in ended:
                    self.finish(future)
            for entry, _ in self.running.values():
                print(f"{entry.key}: ended, begins again next time", flush=True)
        finally:
            pool.stop()
            pool.join()
            if self.bundles is not None:
                self.bundles()
