"""Workers as elements of a Slurm array, for the crew that decides what they do."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from nasplug.contract.errors import NasplugError
from nasplug.run.executors.crew import Report
from nasplug_slurm.calling import Calling

if TYPE_CHECKING:
    from submitit import AutoExecutor
    from submitit import Job as Element

    from nasplug.run.executors.elsewhere import Parcel
    from nasplug.run.executors.travel import Outbound
    from nasplug.run.jobs import Job
    from nasplug_slurm.switchboard import Switchboard

#: Seconds between questions to Slurm whether workers that never called are still to come.
ASK = 15.0


class SlurmHands:
    """Submits one array for all workers of a run, and single ones in the place of those that were lost.

    Args:
        executor: Executor of submitit, with all parameters.
        switchboard: Lines to the workers.
        hosts: Names of this machine.
        device: Device of the trials.
        parcel: Run that they work for.
        outbound: Way of the files.
        workers: Length of the array.
        ask: Seconds between questions to Slurm.
    """

    def __init__(
        self,
        executor: AutoExecutor,
        switchboard: Switchboard,
        hosts: tuple[str, ...],
        device: str,
        parcel: Parcel,
        outbound: Outbound,
        *,
        workers: int,
        ask: float = ASK,
    ) -> None:
        self._executor, self._board, self._hosts, self._device = executor, switchboard, hosts, device
        self._parcel, self._outbound, self._array, self._ask = parcel, outbound, workers, ask
        self._elements: dict[int, Element[None]] = {}
        self._unused: list[int] = []
        self._used: set[int] = set()
        self._calling: set[int] = set()
        self._submitted, self._asked = 0, 0.0

    def start(self) -> int:
        """Returns the next element of the array, which is submitted with the first."""
        if not self._unused:
            self._submit(self._array if self._submitted == 0 else 1)
        worker = self._unused.pop(0)
        self._used.add(worker)
        return worker

    def claim(self, job: Job) -> int | None:
        """Returns None: workers end with their driver."""
        return None

    def send(self, worker: int, job: Job) -> None:
        """Sends a job over the worker's line."""
        self._outbound.offer(job)
        self._board.send(worker, job)

    def poll(self, seconds: float) -> Sequence[Report]:
        """Takes calls, and asks Slurm about workers that never called.

        Raises:
            NasplugError: A worker says that it cannot work, and why.
        """
        found: list[Report] = []
        for worker, kind, value in self._board.calls(seconds):
            if worker not in self._elements:
                self._board.hang_up(worker)  # it was ended, and calls again after Slurm started it again
            elif kind == "hello":
                self._calling.add(worker)
                self._board.send(worker, self._parcel)
            elif kind == "refused" and isinstance(value, NasplugError):
                raise value
            elif kind == "gone":
                found.append(Report(worker, "lost", f"{value}; {self._last_words(worker)}"))
                self.end(worker)
            elif kind == "done" and isinstance(value, tuple):
                result, files = value
                self._outbound.collect(files)
                found.append(Report(worker, "done", result))
            elif kind == "ready":
                found.append(Report(worker, "ready"))
            else:
                found.append(Report(worker, "message", value))
        if time.monotonic() - self._asked > self._ask:
            found += self._missing()
            self._asked = time.monotonic()
        return found

    def end(self, worker: int) -> None:
        """Hangs up, which ends a worker that runs, and cancels one that waits."""
        self._board.hang_up(worker)
        self._calling.discard(worker)
        element = self._elements.pop(worker, None)
        if element is not None:
            with suppress(Exception):
                element.cancel(check=False)

    def close(self, *, kill: bool) -> None:
        """Ends all workers; those that are idle may say farewell."""
        if not kill:
            for worker in self._calling:
                self._board.send(worker, None)
        for worker in list(self._elements):
            self.end(worker)
        self._board.close()

    def _submit(self, count: int) -> None:
        workers = range(self._submitted, self._submitted + count)
        calls = [Calling(self._hosts, self._board.port, self._board.key, worker, self._device) for worker in workers]
        elements = self._executor.map_array(_answer, calls)
        self._elements.update(zip(workers, elements, strict=True))
        self._unused += workers
        self._submitted += count

    def _missing(self) -> list[Report]:
        """Workers that ended without a call."""
        found = []
        for worker, element in list(self._elements.items()):
            if worker not in self._calling and worker in self._used and element.done(force_check=True):
                found.append(Report(worker, "lost", f"it ended without a call; {self._last_words(worker)}"))
                self.end(worker)
        return found

    def _last_words(self, worker: int) -> str:
        """The last line that a worker printed, and where the rest is."""
        element = self._elements[worker]
        said = ""
        with suppress(Exception):
            said = (element.stderr() or "").strip().rpartition("\n")[2][-300:]
        return f"{said or 'it printed nothing'} (all of it: {element.paths.stderr})"


def _answer(call: Calling) -> None:
    call()
