"""Acquisitive Learning: most classes are inherited, and the others are acquired from a balanced memory alone."""

from __future__ import annotations

from collections.abc import Iterator

from nasplug.contract.errors import SpecError
from nasplug_cgap.learners.course import Course, Phase
from nasplug_cgap.learners.learner import Learner, Method
from nasplug_cgap.learners.segmented import Segmented
from nasplug_cgap.learners.segments import Norms, Score
from nasplug_cgap.sequence.memory import Memory
from nasplug_cgap.sequence.schedule import ScheduleLike


class Acquire(Learner):
    """The first stage is learned in full, its units frozen, and later classes are trained on few samples.

    After the first stage, the share of the units that its classes have of all classes is frozen. A later stage trains
    the free units on a memory with as many samples of every class, new ones included, for a part of the epochs, and
    freezes its own share. No segment is drawn anew. Work on a new class is therefore that of the memory, not of the
    data.

    `faithful` follows the authors' released code: rows of the head are units, gradients are those of one batch, batch
    normalisation is never frozen, the learning rate is constant. The default is ours: the head is not frozen, and the
    schedule of the task is kept.

    Source: Du, Li, Seo, Liu, Cao, "Noise-Based Selection of Robust Inherited Model for Accurate Continual Learning",
    CVPR workshops 2020, and the IJCNN 2020 paper on the same method.

    Args:
        schedule: Number of classes of every stage.
        order: Seed that shuffles the classes; None means the order of the labels.
        memory: Samples that later stages train on, in equal shares for all classes seen.
        edge: Number of epochs of a later stage, as a part of those of the first one.
        rate: Factor of the learning rate in later stages; None means the number of classes of the stage over that of
            the first one, at most 1, and 1 if faithful.
        faithful: Whether to follow the authors' code.
        score: Importance of a unit: `grad_w`, `abs_w` or `abs_grad`.
        score_batches: Number of batches that gradients are averaged over; one if faithful.
        norms: Parts of batch normalisation that are frozen with units: `free`, `affine` or `all`; `free` if faithful.
        inherit_only: Whether trials that start from new weights end after the first stage.

    Raises:
        SpecError: A value is out of range.
    """

    slug = "cgap.acquire"

    def __init__(
        self,
        schedule: ScheduleLike = "9+1",
        order: int | None = 0,
        memory: Memory = Memory(),
        edge: float = 0.6,
        rate: float | None = None,
        faithful: bool = False,
        score: Score = "grad_w",
        score_batches: int = 8,
        norms: Norms = "affine",
        inherit_only: bool = False,
    ) -> None:
        super().__init__(schedule, order, inherit_only)
        if edge <= 0.0 or (rate is not None and rate <= 0.0) or score_batches < 1:
            raise SpecError(
                f"edge and rate must be > 0 and score_batches >= 1, got {edge}, {rate} and {score_batches}",
                where=self.slug,
            )
        self.memory, self.edge = memory, edge
        self.rate = 1.0 if faithful and rate is None else rate
        self.faithful, self.score = faithful, score
        self.score_batches: int = 1 if faithful else score_batches
        self.norms: Norms = "free" if faithful else norms

    @property
    def replay(self) -> Memory:
        """The memory."""
        return self.memory

    def method(self, course: Course) -> Method:
        """See the base class."""
        return _Acquire(course, self)


class _Acquire(Segmented):
    def __init__(self, course: Course, learner: Acquire) -> None:
        super().__init__(course, learner.score, learner.score_batches, learner.norms, head=learner.faithful)
        self._learner = learner

    def phases(self, stage: int, *, inherited: bool) -> Iterator[Phase]:
        course, learner = self.course, self._learner
        epochs = course.run.budget.epochs
        samples = course.data.of(course.sequence.stages[stage])
        if stage:
            samples = learner.memory.balanced(course.data, course.sequence, stage, course.seed("memory"))
            free, holding = self.holding(self.frozen)
            steps = max(1, round(learner.edge * epochs))
            decay = steps if learner.faithful else None
            yield Phase(
                "acquire",
                steps,
                lambda _: samples,
                callbacks=holding,
                free=free,
                rate=self.rate(stage, learner.rate),
                decay=decay,
            )
        elif not inherited:
            yield Phase("train", epochs, lambda _: samples)
        if stage + 1 < len(course.sequence):
            self.freeze(self.segment(stage, samples))
