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
from nasplug_ray.lingering import Beating, Held, Lingering

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
        lingering: Rule by which workers outlive a driver that dies; None if they end with it.

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
        lingering: Lingering | None = None,
    ) -> None:
        self._cluster, self._ray, self._demand, self._device = cluster, cluster.ray, demand, device
        self._outbound, self._runtime_env = outbound, runtime_env
        self._lingering = lingering
        self._held: dict[str, Held] = {}
        self._claimed: set[int] = set()
        self._beating: Beating | None = None
        ray = self._ray
        ray.cloudpickle.register_pickle_by_value(actors)
        try:
            self._parcel = ray.put(pickle.dumps(parcel))
            self._class = ray.remote(actors.Worker)
            here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
                ray.get_runtime_context().get_node_id(), soft=True
            )
            boxes = {
                "num_cpus": 0,
                "max_restarts": -1,
                "max_concurrency": 100_000,
                "scheduling_strategy": here,
            }
            if lingering is None:
                self._mailbox = ray.remote(actors.Mailbox).options(**boxes).remote()
            else:
                self._mailbox, self._held = lingering.take_over(ray, boxes)
                self._beating = Beating(self._mailbox, lingering.seconds)
        except Exception as error:
            raise explained(error) from error
        self._actors: dict[int, Any] = {}
        self._groups: dict[int, Any] = {}
        self._awaited: dict[int, Any] = {}
        self._overdue: set[int] = set()
        self._next: dict[int, int] = {}
        self._early: dict[int, dict[int, tuple[str, bytes]]] = {}
        self._taking: Any = None
        # Never the identity of an earlier driver's worker, of which letters may still come.
        self._started, self._swept = time.time_ns() // 1000, 0.0

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
        lingering = self._lingering
        if lingering is not None:
            options |= lingering.options(f"worker-{identity}")
        if demand.gang:
            lifetime = None if lingering is None else "detached"
            group = ray.util.placement_group([demand.bundle()], strategy="STRICT_PACK", lifetime=lifetime)
            self._groups[identity] = group
            if lingering is not None:
                self._mailbox.reserve.remote(identity, group)
            options["scheduling_strategy"] = ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy(
                group, placement_group_bundle_index=0, placement_group_capture_child_tasks=True
            )
        seconds = 0.0 if lingering is None else lingering.seconds
        actor = self._class.options(**options).remote(identity, self._mailbox, seconds)
        self._actors[identity] = actor
        self._next[identity], self._early[identity] = 0, {}
        self._awaited[identity] = actor.set_up.remote(self._parcel, self._device)
        return identity

    def claim(self, job: Job) -> int | None:
        """Returns the worker of an earlier driver that runs this job, or has run it, or None."""
        held = self._held.pop(job.digest, None) if self._held else None
        if held is None:
            return None
        identity = held.identity
        self._actors[identity], self._next[identity], self._early[identity] = held.actor, 0, {}
        self._claimed.add(identity)
        if held.group is not None:
            self._groups[identity] = held.group
        self._awaited[identity] = held.actor.last.remote()
        return identity

    def send(self, worker: int, job: Job) -> None:
        """Calls the actor."""
        self._outbound.offer(job)
        name = "" if self._lingering is None else job.digest
        try:
            self._awaited[worker] = self._actors[worker].run.remote(pickle.dumps(job), name)
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
            elif worker in self._awaited and kind != "begun":
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
        self._claimed.discard(worker)
        actor, group = self._actors.pop(worker, None), self._groups.pop(worker, None)
        if actor is not None:
            end_actor(self._ray, actor)
        if group is not None:
            self._ray.util.remove_placement_group(group)

    def close(self, *, kill: bool) -> None:
        """Ends all actors, and a cluster that was started for them."""
        if self._beating is not None:
            self._beating.end()
        for held in self._held.values():
            held.end(self._ray)
        for worker in list(self._actors):
            self.end(worker)
        end_actor(self._ray, self._mailbox)
        self._cluster.leave()

    def _in_order(self, letters: list[actors.Letter]) -> Iterator[tuple[int, str, bytes]]:
        """Letters of each worker as it wrote them; one that is early waits for those before it."""
        for worker, number, kind, content in letters:
            if worker not in self._actors or number < self._next[worker]:
                continue
            if worker in self._claimed:  # how many letters its own driver took, nobody knows
                yield worker, kind, content
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
        if worker in self._claimed and not answer:
            self.end(worker)
            return [Report(worker, "lost", "it had no result when another driver asked for it")]
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
