"""Experience replay: samples of earlier classes are trained on beside those of the stage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

import numpy as np

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug_cgap.learners.course import Course, Phase
from nasplug_cgap.learners.learner import Learner, Method
from nasplug_cgap.sequence.loaders import Positions
from nasplug_cgap.sequence.memory import Memory
from nasplug_cgap.sequence.schedule import ScheduleLike

Mix = Literal["balanced", "union"]


class Replay(Learner):
    """Trains on the samples of a stage and on a memory of earlier classes.

    Args:
        schedule: Number of classes of every stage.
        order: Seed that shuffles the classes; None means the order of the labels.
        memory: Samples of earlier classes that are kept.
        mix: Number of times that the memory is gone through in an epoch: `balanced`, so often that an earlier class is
            seen about as often as a new one, or `union`, once.
        inherit_only: Whether trials that start from new weights end after the first stage.

    Raises:
        SpecError: The mix is unknown.
    """

    slug = "cgap.replay"

    def __init__(
        self,
        schedule: ScheduleLike = "5+5",
        order: int | None = 0,
        memory: Memory = Memory(),
        mix: Mix = "balanced",
        inherit_only: bool = False,
    ) -> None:
        super().__init__(schedule, order, inherit_only)
        if mix not in get_args(Mix):
            raise SpecError(f"unknown mix {mix!r}", where=f"{self.slug}.mix", fix=did_you_mean(str(mix), get_args(Mix)))
        self.memory, self.mix = memory, mix

    @property
    def replay(self) -> Memory:
        """The memory."""
        return self.memory

    def method(self, course: Course) -> Method:
        """See the base class."""
        return _Replay(course, self)


class _Replay(Method):
    def __init__(self, course: Course, learner: Replay) -> None:
        super().__init__(course)
        self._learner = learner

    def phases(self, stage: int, *, inherited: bool) -> Iterator[Phase]:
        if not inherited:
            mixed = mixture(self.course, self._learner.memory, stage, balanced=self._learner.mix == "balanced")
            yield Phase("train", self.course.run.budget.epochs, lambda _: mixed)


def mixture(course: Course, memory: Memory, stage: int, *, balanced: bool) -> Positions:
    """Returns the samples of a stage together with the memory.

    Args:
        course: The trial on its way.
        memory: Samples of earlier classes.
        stage: Index of the stage.
        balanced: Whether the memory is repeated until an earlier class is about as frequent as a new one.
    """
    labels = course.sequence.stages[stage]
    own = course.data.of(labels)
    kept = memory.kept(course.data, course.sequence, stage, course.seed("memory"))
    if not len(kept):
        return own
    times = 1
    if balanced:
        earlier = len(course.sequence.seen(stage - 1))
        times = max(1, round(len(own) / len(labels) / (len(kept) / earlier)))
    return np.concatenate([own, np.tile(kept, times)])
