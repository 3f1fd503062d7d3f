"""Naive fine-tuning and joint training: the two ends between which every other learner is."""

from __future__ import annotations

from collections.abc import Iterator

from nasplug_cgap.learners.course import Course, Phase
from nasplug_cgap.learners.learner import Learner, Method


class Naive(Learner):
    """Trains on the classes of each stage alone, and forgets.

    Args:
        schedule: Number of classes of every stage.
        order: Seed that shuffles the classes; None means the order of the labels.
        inherit_only: Whether trials that start from new weights end after the first stage.
    """

    slug = "cgap.naive"

    def method(self, course: Course) -> Method:
        """See the base class."""
        return _Naive(course)


class _Naive(Method):
    def phases(self, stage: int, *, inherited: bool) -> Iterator[Phase]:
        if not inherited:
            own = self.course.data.of(self.course.sequence.stages[stage])
            yield Phase("train", self.course.run.budget.epochs, lambda _: own)


class Joint(Learner):
    """Trains on all samples of all classes seen so far in every stage, as if nothing had to be thrown away.

    The network goes on from its weights, so that the classes of early stages are trained more often. It is the upper
    end of what the other learners can reach, at many times their work.

    Args:
        schedule: Number of classes of every stage.
        order: Seed that shuffles the classes; None means the order of the labels.
        inherit_only: Whether trials that start from new weights end after the first stage.
    """

    slug = "cgap.joint"

    def method(self, course: Course) -> Method:
        """See the base class."""
        return _Joint(course)


class _Joint(Method):
    def phases(self, stage: int, *, inherited: bool) -> Iterator[Phase]:
        if not inherited:
            seen = self.course.data.of(self.course.sequence.seen(stage))
            yield Phase("train", self.course.run.budget.epochs, lambda _: seen)
