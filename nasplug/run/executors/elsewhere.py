"""A worker on a machine that is not the driver's: what it is sent, what it checks before it works, and its answers.

A worker that has another version of something, that lacks a plugin or does not reach the study's folder would fail
every trial, or worse, give other results. It says so before its first trial, by the name of its machine.
"""

from __future__ import annotations

import platform
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from nasplug.contract.errors import NasplugError, PluginError, SpecError
from nasplug.plugins.discovery import module_of, rename
from nasplug.run.executors.bootstrap import Bootstrap, Place
from nasplug.run.executors.gang import runner
from nasplug.run.executors.serving import Service
from nasplug.run.executors.travel import Inbound
from nasplug.run.versions import versions

if TYPE_CHECKING:
    from nasplug.contract.store import Store
    from nasplug.run.executors.launch import Launch
    from nasplug.run.jobs import Done, Job
    from nasplug.run.worker import Emit


@dataclass(frozen=True)
class Parcel:
    """Everything that a process on another machine needs to become a worker of a run, sent once.

    Attributes:
        bootstrap: The run.
        store: Store that its files go through.
        plugins: Modules, file names and contents of single-file plugins.
        versions: Versions of the driver.
        probe: Name of a file that the driver wrote into the study's folder, if all machines reach it; otherwise empty.
    """

    bootstrap: Bootstrap
    store: Store
    plugins: tuple[tuple[str, str, bytes], ...]
    versions: Mapping[str, str]
    probe: str

    @classmethod
    def of(cls, launch: Launch, store: Store) -> Self:
        """Packs a run.

        Raises:
            SpecError: An object of a Python caller cannot be pickled.
        """
        files = [Path(path) for path in launch.assembly.spec.plugins]
        probe = f".probe-{uuid.uuid4().hex}" if store.shared else ""
        parcel = cls(
            launch.bootstrap(program=False),
            store,
            tuple((module_of(file), file.name, file.read_bytes()) for file in files),
            versions(),
            probe,
        )
        if probe:
            launch.folder.mkdir(parents=True, exist_ok=True)
            (launch.folder / probe).touch()
        return parcel

    def unpack(self, device: str) -> Station:
        """Becomes a worker.

        Args:
            device: Device of the trials on this machine.

        Raises:
            PluginError: Versions differ, or a package is missing.
            SpecError: The study's folder cannot be reached from here.
        """
        here = f"worker on {platform.node() or 'another machine'}"
        check_versions(self.versions, versions(), here)
        folder = self.bootstrap.folder
        if self.probe and not (Path(folder) / self.probe).exists():
            raise SpecError(
                f"the study's folder {folder!r} is not the same folder on this machine",
                where=here,
                why="weights and checkpoints are files below it, and no store is given",
                fix="put run.storage on a file system that all machines mount under one path, or give the executor a "
                "store: file:///..., s3://...",
            )
        scratch = Path(tempfile.mkdtemp(prefix="nasplug-"))
        plugins = []
        for position, (module, name, content) in enumerate(self.plugins):
            file = scratch / "plugins" / str(position) / name
            file.parent.mkdir(parents=True)
            file.write_bytes(content)
            rename(file, module)
            plugins.append(str(file))
        root = Path(folder) if self.store.shared else scratch / "files"
        root.mkdir(parents=True, exist_ok=True)
        place = Place(str(root), plugins, device)
        service = Service(lambda: runner(self.bootstrap.worker(place=place), lambda: self.bootstrap, place=place))
        if service.error is not None:
            raise service.error.within(here)
        return Station(service, Inbound(self.store, root))

    def discard(self, folder: Path) -> None:
        """Removes what `of` left in the study's folder."""
        if self.probe:
            (folder / self.probe).unlink(missing_ok=True)


class Station:
    """A worker on another machine.

    Args:
        service: Worker that answers.
        inbound: Way of the files.
    """

    def __init__(self, service: Service, inbound: Inbound) -> None:
        self._service, self._inbound = service, inbound

    def answer(self, job: Job, emit: Emit) -> tuple[Done | NasplugError, list[str]]:
        """Returns the result of a job, or the error that ends the run, and the names of the files it wrote.

        Args:
            job: A trial or work.
            emit: Callback for what the running job says.
        """
        try:
            self._inbound.bring(job)
            result = self._service.answer(job, emit)
            return result, self._inbound.deliver()
        except NasplugError as error:
            return error, []


def check_versions(driver: Mapping[str, str], mine: Mapping[str, str], here: str) -> None:
    """Compares what both have; a package that a search needs and this machine lacks is named when it is composed."""
    differ = [
        f"{name} is {mine[name]} there and {version} with the driver"
        for name, version in driver.items()
        if mine.get(name, version) != version
    ]
    if differ:
        raise PluginError(
            "versions differ between this worker and the driver",
            where=here,
            why="; ".join(differ),
            fix="install the same versions on all machines: results may depend on them",
        )
