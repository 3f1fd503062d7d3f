"""Workers as Ray actors, for the crew that decides what they do.

Results are the return values of actor methods, so that nothing but the loss of its worker loses one. The mailbox tells
the driver when to look, so that it watches one reference and not one for every worker; what no letter announced, such
as a lost worker or a lost mailbox, is found by a look at all of them twice a second.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import NasplugError, PluginError
from nasplug.run.executors.crew import Report
from nasplug_ray import actors
from nasplug_ray.cluster import WHERE, Cluster, end_actor, explained

if TYPE_CHECKING:
    from nasplug.run.executors.elsewhere import Parcel
    from nasplug.run.executors.travel import Outbound
    from nasplug.run.jobs import Job
    from nasplug_ray.demand import Demand

#: Seconds between looks at all workers.
SWEEP = 0.5


class RayHands:
    """Starts, uses and ends actors.

    Args:
        cluster: Cluster that runs them.
        parcel: Run that they work for; sent once to every machine, through the object store.
        demand: Resources of one worker.
        device: Device of the trials.
        outbound: Way of the files.
        runtime_env: Runtime environment of the workers, as Ray takes it.

    Raises:
        StorageError: The object store is full.
    """

    def __init__(
        self,
        cluster: Cluster,
        parcel: Parcel,
        demand: Demand,
        device: str,
        outbound: Outbound,
        runtime_env: dict[str, object],
    ) -> None:
        self._cluster, self._ray, self._demand, self._device = cluster, cluster.ray, demand, device
        self._outbound, self._runtime_env = outbound, runtime_env
        ray = self._ray
        ray.cloudpickle.register_pickle_by_value(actors)
        try:
            self._parcel = ray.put(pickle.dumps(parcel))
            self._class = ray.remote(actors.Worker)
            here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
                ray.get_runtime_context().get_node_id(), soft=True
            )
            self._mailbox = (
                ray.remote(actors.Mailbox)
                .options(num_cpus=0, max_restarts=-1, max_concurrency=100_000, scheduling_strategy=here)
                .remote()
            )
        except Exception as error:
            raise explained(error) from error
        self._actors: dict[int, Any] = {}
        self._groups: dict[int, Any] = {}
        self._awaited: dict[int, Any] = {}
        self._overdue: set[int] = set()
        self._next: dict[int, int] = {}
        self._early: dict[int, dict[int, tuple[str, bytes]]] = {}
        self._taking: Any = None
        self._started, self._swept = 0, 0.0

    def start(self) -> int:
        """Creates an actor, which waits until the cluster has room for it."""
        ray, demand = self._ray, self._demand
        identity, self._started = self._started, self._started + 1
        options: dict[str, object] = {
            "num_cpus": demand.cpus,
            "num_gpus": demand.gpus,
            "memory": demand.memory or None,
            "resources": dict(demand.others),
            "max_restarts": 0,
        }
        if self._runtime_env:
            options["runtime_env"] = self._runtime_env
        if demand.gang:
            group = ray.util.placement_group([demand.bundle()], strategy="STRICT_PACK")
            self._groups[identity] = group
            options["scheduling_strategy"] = ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy(
                group, placement_group_bundle_index=0, placement_group_capture_child_tasks=True
            )
        actor = self._class.options(**options).remote(identity, self._mailbox)
        self._actors[identity] = actor
        self._next[identity], self._early[identity] = 0, {}
        self._awaited[identity] = actor.set_up.remote(self._parcel, self._device)
        return identity

    def send(self, worker: int, job: Job) -> None:
        """Calls the actor."""
        self._outbound.offer(job)
        try:
            self._awaited[worker] = self._actors[worker].run.remote(pickle.dumps(job))
        except Exception as error:
            raise explained(error) from error

    def poll(self, seconds: float) -> Sequence[Report]:
        """Opens the letters that came, and looks at all workers every now and then.

        Raises:
            NasplugError: A worker says that it cannot work, and why.
        """
        found: list[Report] = []
        for worker, kind, content in self._in_order(self._letters(min(seconds, SWEEP))):
            if kind == "message":
                found.append(Report(worker, "message", pickle.loads(content)))
            elif worker in self._awaited:
                found += self._settle(worker)
        if time.monotonic() - self._swept > SWEEP:
            found += self._sweep()
            self._swept = time.monotonic()
        return found

    def end(self, worker: int) -> None:
        """Kills the actor and gives back what was reserved for it."""
        self._awaited.pop(worker, None)
        self._next.pop(worker, None)
        self._early.pop(worker, None)
        self._overdue.discard(worker)
        actor, group = self._actors.pop(worker, None), self._groups.pop(worker, None)
        if actor is not None:
            end_actor(self._ray, actor)
        if group is not None:
            self._ray.util.remove_placement_group(group)

    def close(self, *, kill: bool) -> None:
        """Ends all actors, and a cluster that was started for them."""
        for worker in list(self._actors):
            self.end(worker)
        end_actor(self._ray, self._mailbox)
        self._cluster.leave()

    def _in_order(self, letters: list[actors.Letter]) -> Iterator[tuple[int, str, bytes]]:
        """Letters of each worker as it wrote them; one that is early waits for those before it."""
        for worker, number, kind, content in letters:
            if worker not in self._actors or number < self._next[worker]:
                continue
            self._early[worker][number] = (kind, content)
            while worker in self._early and self._next[worker] in self._early[worker]:
                told = self._early[worker].pop(self._next[worker])
                self._next[worker] += 1
                yield worker, *told

    def _letters(self, seconds: float) -> list[actors.Letter]:
        """Letters of the mailbox; none if it is lost, until the cluster has started it again."""
        ray = self._ray
        if self._taking is None:
            self._taking = self._mailbox.take.remote(10.0)
        try:
            letters: list[actors.Letter] = ray.get(self._taking, timeout=seconds)
        except ray.exceptions.GetTimeoutError:
            return []
        except ray.exceptions.RayError:
            self._taking = None
            time.sleep(min(seconds, 0.1))
            return []
        self._taking = None
        return letters

    def _sweep(self) -> list[Report]:
        """Results that no letter announced. The first look only notes them, as their letters may be under way."""
        if not self._awaited:
            return []
        references = list(self._awaited.values())
        ready, _ = self._ray.wait(references, num_returns=len(references), timeout=0, fetch_local=False)
        arrived = set(ready)
        done = {worker for worker, reference in self._awaited.items() if reference in arrived}
        late, self._overdue = done & self._overdue, done - self._overdue
        return [report for worker in sorted(late) for report in self._settle(worker)]

    def _settle(self, worker: int) -> list[Report]:
        """What the method of a worker returned, or how the worker was lost."""
        reference, ray = self._awaited.pop(worker), self._ray
        self._overdue.discard(worker)
        try:
            answer = ray.get(reference)
        except ray.exceptions.RayError as error:
            if "ObjectStoreFull" in type(error).__name__:
                raise explained(error) from error
            self.end(worker)
            return [Report(worker, "lost", _reason(error))]
        content = pickle.loads(answer) if answer else None
        if content is None:
            self._next[worker] = max(1, self._next[worker])
            return [Report(worker, "ready")]
        if isinstance(content, NasplugError):
            raise content
        if isinstance(content, BaseException):
            raise PluginError("a worker of the cluster cannot work", where=WHERE, why=str(content))
        result, files, said = content
        self._next[worker], self._early[worker] = said, {}
        self._outbound.collect(files)
        return [Report(worker, "done", result)]


def _reason(error: BaseException) -> str:
    """The lines of an error of Ray that say something, in one."""
    lines = [line.strip() for line in str(error).splitlines()]
    ids = ("class_name:", "actor_id:", "pid:", "namespace:", "ip:", "name:")
    said = " ".join(line for line in lines if line and not line.startswith(ids))
    return said[:600] or type(error).__name__
