"""The executor `slurm`: jobs on an array of workers, with the trials of one process."""

from __future__ import annotations

import math
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nasplug.contract.errors import MissingExtraError, SpecError
from nasplug.run.executors.crew import Crew
from nasplug.run.executors.eventful import EventfulExecutor
from nasplug.run.executors.launch import Launch
from nasplug.run.executors.stores import open_store

if TYPE_CHECKING:
    from submitit import AutoExecutor

WHERE = "run.executor: slurm"


class SlurmExecutor(EventfulExecutor):
    """One array of workers for a study, submitted through submitit; each runs one trial at a time until the end.

    Workers call the driver over the network of the cluster, so that jobs and results need no files and no polling of
    Slurm. A worker that is lost, preempted or over its time is replaced, and its job tried again.

    Args:
        partition: Partition of the array.
        minutes: Minutes after which Slurm ends a worker; its trial goes on with another one.
        memory_gb: Main memory of a worker, in GB.
        cluster: `slurm`, or `local` for processes of this machine.
        host: Name or address of this machine as the nodes reach it; None tries its names.
        folder: Folder of submitit's files, which all machines reach; None takes one beside the study's files.
        store: URL that fsspec knows, through which files travel where the machines do not share the folder of the
            study.
        retries: Number of times that a job is tried again after its worker was lost.
        parameters: Further parameters of submitit, such as `{slurm_account: nas, slurm_constraint: a100}`.
    """

    def __init__(
        self,
        partition: str | None = None,
        *,
        minutes: int = 1440,
        memory_gb: float | None = None,
        cluster: str = "slurm",
        host: str | None = None,
        folder: str | None = None,
        store: str | None = None,
        retries: int = 1,
        parameters: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__()
        if cluster not in ("slurm", "local"):
            raise SpecError(f"expected slurm or local, got {cluster!r}", where=f"{WHERE}, cluster")
        if retries < 0:
            raise SpecError(f"expected at least 0, got {retries}", where=f"{WHERE}, retries")
        if minutes <= 0:
            raise SpecError(f"expected at least 1, got {minutes}", where=f"{WHERE}, minutes")
        self.partition, self.minutes, self.memory_gb, self.cluster = partition, minutes, memory_gb, cluster
        self.host, self.folder, self.store, self.retries = host, folder, store, retries
        self.parameters = dict(parameters or {})

    def engine(self, launch: Launch) -> Crew:
        """Listens for workers; the array is submitted with the first job.

        Raises:
            MissingExtraError: submitit is not installed.
            SpecError: There is no Slurm here, or a parameter that submitit does not know.
        """
        from nasplug.run.executors.elsewhere import Parcel
        from nasplug.run.executors.travel import Outbound
        from nasplug_slurm.hands import SlurmHands
        from nasplug_slurm.switchboard import Switchboard

        executor = self._submitit(launch)
        store = open_store(self.store, launch.folder)
        self._parcel, self._study = Parcel.of(launch, store), launch.folder
        local = self.cluster == "local"
        hosts = (self.host,) if self.host else ("127.0.0.1",) if local else _names()
        gpus = self._gpus(launch)
        named = launch.assembly.spec.run.device
        on_cpu = named if named.startswith("cpu") else "cpu"
        device = "cuda:" + ",".join(map(str, range(gpus))) if gpus else on_cpu
        hands = SlurmHands(
            executor,
            Switchboard("127.0.0.1" if local else ""),
            hosts,
            device,
            self._parcel,
            Outbound(store, launch.folder),
            workers=launch.workers,
            ask=1.0 if local else 15.0,
        )
        return Crew(hands, launch.workers, retries=self.retries)

    def close(self, *, kill: bool = False) -> None:
        """Ends the workers."""
        super().close(kill=kill)
        if self._engine is not None:
            self._parcel.discard(self._study)

    def _gpus(self, launch: Launch) -> int:
        asked, run = launch.resources.gpus, launch.assembly.spec.run
        if asked is None:
            return 0 if run.device == "auto" or run.device.startswith("cpu") else 1
        if asked != int(asked):
            raise SpecError(
                f"Slurm gives whole GPUs, not {asked:g}",
                where="run.gpus",
                fix="give 1, or ask for shards of your cluster: parameters: {slurm_additional_parameters: {gres: ...}}",
            )
        return math.ceil(asked)

    def _submitit(self, launch: Launch) -> AutoExecutor:
        try:
            import submitit
        except ImportError as error:
            raise MissingExtraError(
                "submitit is needed to submit workers, and is not installed", where=WHERE, fix="pip install submitit"
            ) from error
        folder = Path(self.folder) if self.folder else launch.folder / "slurm"
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)  # what submitit writes there is loaded by the workers, and holds the secret of their lines
        try:
            executor = submitit.AutoExecutor(folder=folder, cluster=self.cluster)
        except RuntimeError as error:
            raise SpecError(
                "there is no Slurm on this machine",
                where=WHERE,
                why=str(error),
                fix="start the search where `sbatch` works, or say `cluster: local` to try it with processes here",
            ) from error
        given: dict[str, object] = {
            "name": "nasplug",
            "timeout_min": self.minutes,
            "cpus_per_task": launch.resources.cpus,
            "gpus_per_node": self._gpus(launch),
            "tasks_per_node": 1,
        }
        if self.memory_gb is not None:
            given["mem_gb"] = self.memory_gb
        if self.partition is not None:
            given["slurm_partition"] = self.partition
        try:
            executor.update_parameters(**{**given, **self.parameters})
        except (TypeError, ValueError, NameError) as error:
            raise SpecError("submitit refuses a parameter", where=f"{WHERE}, parameters", why=str(error)) from error
        return executor


def _names() -> tuple[str, ...]:
    """The names of this machine, most telling first, without repetitions."""
    return tuple(dict.fromkeys((socket.getfqdn(), socket.gethostname())))
