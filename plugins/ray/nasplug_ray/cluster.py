"""Meeting a cluster: a local one by default, or one that runs; and what can be wrong with it, in one message each."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType

from nasplug.contract.errors import MissingExtraError, NasplugError, PluginError, SpecError, StorageError

#: Seconds within which the head of a cluster must take a connection. Ray itself tries for minutes.
PATIENCE = 5.0
WHERE = "run.executor: ray"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that this process is connected to.

    Attributes:
        ray: The module.
        own: Whether this process started the connection, and ends it.
        local: Whether the cluster is this process's own, and ends with it.
    """

    ray: ModuleType
    own: bool
    local: bool

    def nodes(self) -> list[Mapping[str, float]]:
        """Returns the resources of each machine that is alive."""
        return [node["Resources"] for node in self.ray.nodes() if node["Alive"]]

    def leave(self) -> None:
        """Disconnects, if this process connected; a local cluster ends."""
        if self.own:
            self.ray.shutdown()


def connect(address: str | None, cpus: int, options: Mapping[str, object], *, logs: bool = True) -> Cluster:
    """Connects to a cluster, or starts a local one.

    A process that is connected already keeps its cluster.

    Args:
        address: `auto`, or `host:port` of the head; None for a local cluster.
        cpus: Number of CPUs that a local cluster has at least, which only count what it runs at a time.
        options: Further arguments of `ray.init`.
        logs: Whether what trials print is printed here.

    Raises:
        MissingExtraError: Ray is not installed.
        SpecError: There is no cluster at the address, or it is of another version.
    """
    ray = import_ray()
    if ray.is_initialized():
        return Cluster(ray, own=False, local=False)
    term = signal.getsignal(signal.SIGTERM)
    quiet: dict[str, object] = {"log_to_driver": logs, "logging_level": logging.WARNING}
    try:
        if address is None:
            # The cluster of one search: nobody looks at its dashboard, and nothing is told to anybody.
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            quiet |= {"include_dashboard": False, "num_cpus": max(cpus, os.cpu_count() or 1)}
            ray.init(address="local", **{**quiet, **options})
        else:
            check_address(address)
            ray.init(address=address, **{**quiet, **options})
    except NasplugError:
        raise
    except Exception as error:
        raise explained(error, address) from error
    finally:
        # Ray sets a handler of its own, which would take SIGTERM from whoever ends a search politely.
        if threading.current_thread() is threading.main_thread() and term is not None:
            signal.signal(signal.SIGTERM, term)
    return Cluster(ray, own=True, local=address is None)


def import_ray() -> ModuleType:
    """Imports Ray.

    Raises:
        MissingExtraError: It is not installed.
    """
    # Under `uv run`, Ray would copy the folder of the program to every worker and start each through `uv run` again.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise MissingExtraError(
            "ray is needed to run trials on a cluster, and cannot be imported",
            where=WHERE,
            why=str(error),
            fix='pip install "ray>=2.40" (there are builds for CPython on Linux, macOS and Windows)',
        ) from error


def check_address(address: str) -> None:
    """Checks that somebody listens at an address.

    Raises:
        SpecError: Nobody does, or it is an address of Ray Client.
    """
    if address in ("auto", "local"):
        return
    if address.startswith("ray://"):
        raise SpecError(
            f"the driver runs on a machine of the cluster, not as a client of {address}",
            where=f"{WHERE}, address",
            fix="start the search on the head with `address: auto`, for example by `ray job submit -- nasplug run ...`",
        )
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or not host:
        raise SpecError(f"expected host:port, got {address!r}", where=f"{WHERE}, address", fix="or write `auto`")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE):
            return
    except (OSError, OverflowError) as error:
        raise _nobody(address, str(error)) from error


def explained(error: Exception, address: str | None = None) -> NasplugError:
    """Returns what an error of Ray means, and what to do about it.

    Args:
        error: Error that Ray raised in the driver.
        address: Address that was given.
    """
    text, name = " ".join(str(error).split()), type(error).__name__
    if isinstance(error, ConnectionError) or "any running Ray instance" in text:
        return _nobody(address or "a local cluster", text[:300])
    if "ersion mismatch" in text:
        return SpecError(
            "the cluster and this process have different versions of Ray or of Python",
            where=WHERE,
            why=text[:500],
            fix="install the same versions on all machines and restart the cluster",
        )
    if name in ("ObjectStoreFullError", "OutOfDiskError"):
        return StorageError(
            "the object store of the cluster is full",
            where=WHERE,
            why=text[:300],
            fix="free disk space on the machines, start them with more (`ray start --object-store-memory`), or pass "
            "data by path instead of as objects",
        )
    return PluginError("the cluster cannot be used", where=WHERE, why=f"{name}: {text[:500]}")


def _nobody(address: str, why: str) -> SpecError:
    return SpecError(
        f"there is no cluster at {address!r}",
        where=f"{WHERE}, address",
        why=why,
        fix="start one with `ray start --head`, check the address, or leave `address` out for a local one",
    )


def end_actor(ray: ModuleType, actor: object) -> None:
    """Ends an actor at once; one that is gone already is fine."""
    with suppress(Exception):
        ray.kill(actor, no_restart=True)
