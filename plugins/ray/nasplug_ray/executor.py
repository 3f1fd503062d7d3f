"""The executor `ray`: jobs on a cluster, with the trials of one process."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from nasplug.contract.errors import SpecError
from nasplug.evaluate.ranks import devices_of
from nasplug.run.executors.crew import Crew
from nasplug.run.executors.eventful import EventfulExecutor
from nasplug.run.executors.launch import Launch
from nasplug.run.executors.stores import open_store
from nasplug_ray.cluster import WHERE, connect
from nasplug_ray.demand import Demand, device_names
from nasplug_ray.lingering import Lingering


class RayExecutor(EventfulExecutor):
    """Workers on a Ray cluster: actors that stay, one trial each at a time.

    The driver proposes, records and observes as ever, so that the trials are those of one process. It keeps all jobs
    that no worker has; a worker that is lost with its machine is replaced, and its job tried again.

    Args:
        address: `auto` for the cluster that this machine belongs to, or `host:port`; None starts a local one, which
            ends with the search.
        cpus: Number of cores of a trial, parts count; None takes `run.threads`.
        memory: Bytes of main memory of a trial, set aside by Ray; None sets nothing aside.
        resources: Further resources of a trial, by the names that machines were started with.
        store: URL that fsspec knows, through which files travel where the machines do not share the folder of the
            study: `file:///mnt/share/nas`, `s3://bucket/nas`.
        retries: Number of times that a job is tried again after its worker was lost.
        elastic: Whether the cluster grows by itself, so that what no machine has may come.
        linger: Seconds for which trials go on when their driver dies, so that a resumed search takes over those that
            run; 0 ends them with it. Needs a cluster that outlives the driver and a study file.
        logs: Whether what trials print is printed by the driver.
        runtime_env: Runtime environment of the workers, such as `{working_dir: .}` or `{pip: [...]}`; shipped once.
        init: Further arguments of `ray.init`.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        cpus: float | None = None,
        memory: float | None = None,
        resources: Mapping[str, float] | None = None,
        store: str | None = None,
        retries: int = 1,
        elastic: bool = False,
        linger: float = 600.0,
        logs: bool = True,
        runtime_env: Mapping[str, object] | None = None,
        init: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__()
        if retries < 0:
            raise SpecError(f"expected at least 0, got {retries}", where=f"{WHERE}, retries")
        self.address, self.cpus, self.memory, self.resources = address, cpus, memory, dict(resources or {})
        self.store, self.retries, self.elastic, self.logs = store, retries, elastic, logs
        if linger < 0:
            raise SpecError(f"expected at least 0, got {linger:g}", where=f"{WHERE}, linger")
        self.linger = linger
        self.runtime_env, self.init = dict(runtime_env or {}), dict(init or {})
        self._after: list[tuple[object, Path]] = []

    def engine(self, launch: Launch) -> Crew:
        """Connects to the cluster and sends the run; workers start with the first jobs.

        Raises:
            SpecError: There is no cluster, or no machine of it can run a trial.
            StorageError: The object store is full.
        """
        from nasplug.run.executors.elsewhere import Parcel
        from nasplug.run.executors.travel import Outbound
        from nasplug_ray.hands import RayHands

        demand = self.demand(launch)
        demand.check()
        store = open_store(self.store, launch.folder)
        parcel = Parcel.of(launch, store)
        try:
            cluster = connect(self.address, math.ceil(launch.workers * demand.cpus), self.init, logs=self.logs)
            try:
                if not self.elastic:
                    demand.check_fits(cluster.nodes())
                named = launch.assembly.spec.run.device
                on_cpu = named if named.startswith("cpu") else "cpu"
                device = on_cpu if demand.gpus == 0 else device_names(demand.gpus)
                kept = launch.assembly.spec.run.storage is not None and not cluster.local
                lingering = Lingering(launch.folder.name, self.linger) if self.linger and kept else None
                way = Outbound(store, launch.folder)
                hands = RayHands(cluster, parcel, demand, device, way, self.runtime_env, lingering)
            except BaseException:
                cluster.leave()
                raise
        except BaseException:
            parcel.discard(launch.folder)
            raise
        self._parcel, self._folder = parcel, launch.folder
        return Crew(hands, launch.workers, retries=self.retries)

    def demand(self, launch: Launch) -> Demand:
        """Returns the resources of one trial of a run."""
        needs, run = launch.resources, launch.assembly.spec.run
        gpus = needs.gpus
        if gpus is None:
            gpus = 0.0 if run.device == "auto" or run.device.startswith("cpu") else 1.0
        cpus = float(needs.cpus * len(devices_of(run.device))) if self.cpus is None else self.cpus
        return Demand(cpus, float(gpus), self.memory or 0.0, self.resources)

    def close(self, *, kill: bool = False) -> None:
        """Ends the workers, and a local cluster."""
        super().close(kill=kill)
        if self._engine is not None:
            self._parcel.discard(self._folder)
