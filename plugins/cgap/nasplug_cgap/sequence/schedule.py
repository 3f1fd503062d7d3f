"""Schedules of classes: how many are learned in each stage, and which ones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

import numpy as np

from nasplug.contract.errors import SpecError
from nasplug.contract.wording import plural

#: How a specification writes a schedule: a text, or the number of classes of each stage.
ScheduleLike = str | list[int]

_PART = re.compile(r"(?:(\d+)\s*[x×]\s*)?(\d+)")
_FORMS = "write '5+5', '5x2' (five stages of two classes each), '9+1', '50+5x10', or a list such as [5, 1, 1]"


def parse_schedule(schedule: ScheduleLike, where: str = "schedule") -> tuple[int, ...]:
    """Reads the number of classes of every stage.

    Args:
        schedule: Text such as `5+5`, `5x2` (five stages of two classes), `50+5x10` or `5,1,1`, or a list of numbers.
        where: Name of the component, for messages.

    Raises:
        SpecError: It has another form, a stage is empty, there is only one stage, or the first one has a single class.
    """
    sizes: list[int] = []
    if isinstance(schedule, str):
        for part in re.split(r"[+,]", schedule):
            match = _PART.fullmatch(part.strip())
            if match is None:
                raise SpecError(f"cannot read the schedule {schedule!r}", where=where, fix=_FORMS)
            sizes += [int(match[2])] * (1 if match[1] is None else int(match[1]))
    else:
        if not all(isinstance(size, int) and not isinstance(size, bool) for size in schedule):
            raise SpecError(f"cannot read the schedule {schedule!r}", where=where, fix=_FORMS)
        sizes = list(schedule)
    if any(size < 1 for size in sizes):
        raise SpecError(f"the schedule {schedule!r} has a stage without classes", where=where, fix=_FORMS)
    if len(sizes) < 2:
        raise SpecError(
            f"the schedule {schedule!r} has {plural(len(sizes), 'stage')}",
            where=where,
            why="a sequence has at least two: something is learned first, and something is learned later",
            fix=_FORMS,
        )
    if sizes[0] < 2:
        raise SpecError(
            f"the first stage of the schedule {schedule!r} has one class",
            where=where,
            why="a network that has seen a single class has nothing to tell apart",
            fix="begin with two classes or more, as in '2+1+1' or '5x2'",
        )
    return tuple(sizes)


@dataclass(frozen=True, slots=True)
class ClassSequence:
    """Classes of every stage.

    Attributes:
        stages: Labels of the classes that each stage brings.
    """

    stages: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, schedule: ScheduleLike, outputs: int, order: int | None = 0, where: str = "schedule") -> Self:
        """Divides the classes of a task.

        Args:
            schedule: Number of classes of every stage; see `parse_schedule`.
            outputs: Number of classes of the task.
            order: Seed that shuffles the classes; None means the order of the labels.
            where: Name of the component, for messages.

        Raises:
            SpecError: The schedule has another number of classes than the task, or cannot be read.
        """
        sizes = parse_schedule(schedule, where)
        if sum(sizes) != outputs:
            raise SpecError(
                f"the schedule {schedule!r} has {plural(sum(sizes), 'class')}, and the task has {outputs}",
                where=where,
                why="every class of the task is learned in exactly one stage",
                fix=f"write numbers that add up to {outputs}, such as {_suggestion(outputs)!r}",
            )
        labels = np.arange(outputs) if order is None else np.random.default_rng(order).permutation(outputs)
        ends = np.cumsum(sizes)
        return cls(tuple(tuple(part.tolist()) for part in np.split(labels, ends[:-1])))

    def seen(self, stage: int) -> tuple[int, ...]:
        """Returns the classes of the stages up to one, itself included.

        Args:
            stage: Index of the stage.
        """
        return tuple(label for part in self.stages[: stage + 1] for label in part)

    def share(self, stage: int) -> float:
        """Returns the part of all classes that a stage brings.

        Args:
            stage: Index of the stage.
        """
        return len(self.stages[stage]) / self.classes

    @property
    def classes(self) -> int:
        """Number of classes of all stages."""
        return sum(map(len, self.stages))

    @property
    def stage_of(self) -> dict[int, int]:
        """Stage that brings each class, by label."""
        return {label: stage for stage, labels in enumerate(self.stages) for label in labels}

    def __len__(self) -> int:
        return len(self.stages)

    def __str__(self) -> str:
        return "+".join(str(len(part)) for part in self.stages)


def _suggestion(outputs: int) -> str:
    half = outputs // 2
    return f"{outputs - half}+{half}" if half else str(outputs)
