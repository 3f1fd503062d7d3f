"""Workers that outlive a driver which dies, and are found again by the next one of the same study.

They are detached actors, named in a namespace of the study. The mailbox, detached too, knows who has which job. Whoever
resumes the study asks it, and takes over workers whose jobs the search asks for again; all others are ended.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from nasplug.contract.wording import plural
from nasplug_ray.actors import Mailbox
from nasplug_ray.cluster import end_actor

_log = logging.getLogger("nasplug")

#: Seconds that the mailbox of an earlier driver has for an answer.
PATIENCE = 30.0
MAILBOX = "mailbox"


@dataclass(frozen=True, slots=True)
class Held:
    """A worker of an earlier driver.

    Attributes:
        identity: Identity that its driver gave it.
        actor: Handle of the actor.
        group: Placement group that it runs in, or None.
    """

    identity: int
    actor: Any
    group: Any

    def end(self, ray: ModuleType) -> None:
        """Ends it, and gives back what was reserved for it."""
        end_actor(ray, self.actor)
        if self.group is not None:
            with suppress(Exception):
                ray.util.remove_placement_group(self.group)


@dataclass(frozen=True, slots=True)
class Lingering:
    """How workers of a study outlive their driver.

    Attributes:
        study: Name of the study's folder, which is drawn when a study begins.
        seconds: Seconds after which they end if no driver is heard.
    """

    study: str
    seconds: float

    @property
    def namespace(self) -> str:
        """Ray namespace of the study."""
        return f"nasplug-{self.study}"

    def options(self, name: str) -> dict[str, object]:
        """Returns the options of an actor that outlives the driver."""
        return {"name": name, "namespace": self.namespace, "lifetime": "detached"}

    def take_over(self, ray: ModuleType, boxes: Mapping[str, object]) -> tuple[Any, dict[str, Held]]:
        """Returns the mailbox of the study, and the workers that an earlier driver left, by the names of their jobs.

        Workers without a job are ended.

        Args:
            ray: The module.
            boxes: Options of a mailbox.
        """
        left = [
            actor["name"]
            for actor in ray.util.list_named_actors(all_namespaces=True)
            if actor["namespace"] == self.namespace
        ]
        mailbox, roster, groups = None, {}, {}
        if MAILBOX in left:
            try:
                mailbox = ray.get_actor(MAILBOX, namespace=self.namespace)
                asked = [mailbox.roster.remote(), mailbox.groups.remote(), mailbox.beat.remote()]
                roster, groups, _ = ray.get(asked, timeout=PATIENCE)
            except (ValueError, ray.exceptions.RayError):  # it ended just now, or its machine does not answer
                end_actor(ray, mailbox)
                mailbox = None
        held: dict[str, Held] = {}
        for name in left:
            with suppress(ValueError):
                if name != MAILBOX:
                    identity = int(name.rpartition("-")[2])
                    one = Held(identity, ray.get_actor(name, namespace=self.namespace), groups.get(identity))
                    if identity in roster:
                        held[roster[identity]] = one
                    else:
                        one.end(ray)
        if held:
            _log.info("%s of an earlier driver is taken over", plural(len(held), "worker"))
        if mailbox is None:
            options = {**boxes, **self.options(MAILBOX)}
            mailbox = ray.remote(Mailbox).options(**options).remote(self.seconds)
        return mailbox, held


class Beating:
    """Tells the mailbox that the driver lives, from a thread of its own, as strategies may think for long.

    Args:
        mailbox: Handle of the mailbox.
        seconds: Seconds of silence after which workers end.
    """

    def __init__(self, mailbox: Any, seconds: float) -> None:
        self._mailbox, self._pause, self._ended = mailbox, min(15.0, seconds / 4), threading.Event()
        threading.Thread(target=self._beat, daemon=True).start()

    def end(self) -> None:
        """Stops telling."""
        self._ended.set()

    def _beat(self) -> None:
        while not self._ended.is_set():
            with suppress(Exception):  # it is lost, and will be started again
                self._mailbox.beat.remote()
            self._ended.wait(self._pause)
