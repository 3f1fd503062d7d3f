"""Facts about a study beside its trials: what was searched, when, where and with which versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from nasplug.contract.jsondata import Json, JsonObject
from nasplug.contract.records import Direction


class Session(TypedDict, total=False):
    """One start of a run.

    Attributes:
        started: ISO time in UTC.
        versions: Version of everything that can change a result, by name.
        machine: Hardware and operating system, without names.
        retried: Numbers of the failed trials that were taken back at its beginning.
        ended: ISO time in UTC; missing where the run was killed.
    """

    started: str
    versions: Mapping[str, str]
    machine: JsonObject
    retried: list[int]
    ended: str


class Facts(TypedDict, total=False):
    """JSON data; `nasplug.ledger.sqlite` checks what it reads against these types.

    Attributes:
        id: Name of the folder of the study.
        spec: Specification, as `RunSpec.to_plain` gives it.
        objects: Keys of the specification that were given as Python objects.
        objectives: Direction by name; the first one is the main one.
        constraints: Hard bounds, as they are written.
        created: ISO time of the first start, in UTC.
        runs: Every start of the run, the last one at the end.
        revised: Number of the first trial whose proposal may differ from the recorded one, after failed trials were
            taken back; None once that is over.
        baseline: Baseline that was asked for, and its trial. In the file alone: strategies do not see it.
        samples: Number of validation samples that a metric is the share of, by name, where the task says so.
        warm: Trials of another study that stand at the beginning of this one. In the file alone.
        unavailable: Reason why the space or another plugin is missing here; in memory only.
    """

    id: str
    spec: JsonObject
    objects: list[str]
    objectives: Mapping[str, Direction]
    constraints: list[str]
    created: str
    runs: list[Session]
    revised: int | None
    baseline: JsonObject
    samples: Mapping[str, int]
    warm: list[Json]
    unavailable: str


def part_of(spec: JsonObject, key: str) -> JsonObject:
    """Returns a mapping inside a specification, such as `run`; empty where there is none."""
    found = spec.get(key)
    return found if isinstance(found, Mapping) else {}


def integer_of(spec: JsonObject, part: str, name: str, default: int) -> int:
    """Returns an integer of a part of a specification, such as the seed of `run`."""
    found: Json = part_of(spec, part).get(name)
    return found if isinstance(found, int) else default


def texts_of(spec: JsonObject, name: str) -> tuple[str, ...]:
    """Returns a list of texts of a specification, such as `plugins`; empty where there is none."""
    found = spec.get(name)
    return tuple(map(str, found)) if isinstance(found, (list, tuple)) else ()
