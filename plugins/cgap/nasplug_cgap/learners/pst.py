"""Progressive Segmented Training: each stage freezes the units that matter for it, later ones train the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nasplug.contract.errors import SpecError
from nasplug_cgap.learners.course import Course, Phase
from nasplug_cgap.learners.learner import Learner, Method
from nasplug_cgap.learners.replay import mixture
from nasplug_cgap.learners.segmented import Segmented
from nasplug_cgap.learners.segments import Masks, Norms, Score, complement, reinitialise
from nasplug_cgap.sequence.loaders import Positions
from nasplug_cgap.sequence.memory import Memory
from nasplug_cgap.sequence.schedule import ScheduleLike


class PST(Learner):
    """Importance sampling, model segmentation and memory-assisted balancing in one network with one head.

    A stage that brings a share of all classes freezes that share of the units of every layer, those with the largest
    sum of |w| |g|. Frozen units are identical bit by bit ever after.

    `faithful` follows the authors' released code: the first stage draws its segment anew and trains it among the other
    units as they are, for 0.6 N epochs; a later one trains 0.3 N epochs on a balanced memory, 0.6 N on memory and stage
    in turns, and the head for 0.1 N, and then draws and trains its segment, for 0.6 N; rows of the head are units;
    gradients are those of one batch; batch normalisation is never frozen; the memory keeps the first samples of every
    class, in equal shares for stages; the learning rate falls to a tenth after 0.4 N epochs, whatever the schedule of
    the task. The default is ours: the segment of a stage keeps the weights that it was trained with; a later stage
    trains 0.9 N epochs on batches of memory and stage mixed, and the head alone for 0.1 N on a balanced memory; the
    head is not frozen; gradients are averaged over batches; the memory and the schedule are those that were asked for.

    Source: Du, Charan, Liu, Cao, "Single-Net Continual Learning with Progressive Segmented Training", ICMLA 2019 (arXiv
    1905.11550).

    Args:
        schedule: Number of classes of every stage.
        order: Seed that shuffles the classes; None means the order of the labels.
        memory: Samples of earlier classes that are kept.
        faithful: Whether to follow the authors' code.
        score: Importance of a unit: `grad_w`, `abs_w` or `abs_grad`.
        score_batches: Number of batches that gradients are averaged over; one if faithful.
        norms: Parts of batch normalisation that are frozen with units: `free`, `affine` or `all`; `free` if faithful.
        rate: Factor of the learning rate in later stages; None means the number of classes of the stage over that of
            the first one, at most 1, and 1 if faithful.
        inherit_only: Whether trials that start from new weights end after the first stage.

    Raises:
        SpecError: A value is out of range.
    """

    slug = "cgap.pst"

    def __init__(
        self,
        schedule: ScheduleLike = "5+5",
        order: int | None = 0,
        memory: Memory = Memory(),
        faithful: bool = False,
        score: Score = "grad_w",
        score_batches: int = 8,
        norms: Norms = "affine",
        rate: float | None = None,
        inherit_only: bool = False,
    ) -> None:
        super().__init__(schedule, order, inherit_only)
        if score_batches < 1 or (rate is not None and rate <= 0.0):
            raise SpecError(f"score_batches must be >= 1 and rate > 0, got {score_batches} and {rate}", where=self.slug)
        self.memory = replace(memory, selection="first", shares="stage") if faithful else memory
        self.faithful, self.score = faithful, score
        self.score_batches: int = 1 if faithful else score_batches
        self.norms: Norms = "free" if faithful else norms
        self.rate = 1.0 if faithful else rate

    @property
    def replay(self) -> Memory:
        """The memory."""
        return self.memory

    def method(self, course: Course) -> Method:
        """See the base class."""
        kind = _Faithful if self.faithful else _PST
        return kind(course, self)


class _PST(Segmented):
    def __init__(self, course: Course, learner: PST) -> None:
        super().__init__(course, learner.score, learner.score_batches, learner.norms, head=learner.faithful)
        self._memory, self._rate = learner.memory, learner.rate

    def phases(self, stage: int, *, inherited: bool) -> Iterator[Phase]:
        course = self.course
        epochs = course.run.budget.epochs
        own = course.data.of(course.sequence.stages[stage])
        if not stage:
            if not inherited:
                yield Phase("train", epochs, lambda _: own)
        else:
            mixed = mixture(course, self._memory, stage, balanced=True)
            free, holding = self.holding(self.frozen)
            last = max(1, round(0.1 * epochs))
            yield Phase(
                "train",
                max(1, epochs - last),
                lambda _: mixed,
                callbacks=holding,
                free=free,
                rate=self.rate(stage, self._rate),
            )
            balanced = self._balanced(stage)
            yield Phase("head", last, lambda _: balanced, head_only=True)
        if stage + 1 < len(course.sequence):
            self.freeze(self.segment(stage, own))

    def _balanced(self, stage: int) -> Positions:
        course = self.course
        return self._memory.balanced(course.data, course.sequence, stage, course.seed("memory"))


class _Faithful(_PST):
    def phases(self, stage: int, *, inherited: bool) -> Iterator[Phase]:
        course = self.course
        epochs = course.run.budget.epochs
        own = course.data.of(course.sequence.stages[stage])
        decay, segment = max(1, round(0.4 * epochs)), max(1, round(0.6 * epochs))
        if not stage:
            if not inherited:
                yield Phase("train", epochs, lambda _: own, decay=decay)
            masks = self.segment(stage, own)
            yield from self._alone(masks, Phase("segment", segment, lambda _: own, decay=max(1, round(0.7 * segment))))
            self.freeze(masks)
            return
        balanced = self._balanced(stage)

        def in_turns(epoch: int) -> Positions:
            remembers = epoch % 3 == 0 or epoch % 5 == 0 or epoch >= segment - 2
            return balanced if remembers else own

        free, holding = self.holding(self.frozen)
        steps = max(1, round(0.3 * epochs))
        yield Phase("balance", steps, lambda _: balanced, callbacks=holding, free=free, decay=epochs)
        yield Phase("train", segment, in_turns, callbacks=holding, free=free, decay=decay)
        steps = max(1, round(0.1 * epochs))
        yield Phase("head", steps, lambda _: balanced, head_only=True, body_trains=True, decay=epochs)
        if stage + 1 < len(course.sequence):
            masks = self.segment(stage, own)
            yield from self._alone(masks, Phase("segment", segment, in_turns, decay=decay))
            self.freeze(masks)

    def _alone(self, masks: Masks, phase: Phase) -> Iterator[Phase]:
        """The phase with a segment drawn anew and everything else frozen."""
        reinitialise(self.course.network, masks)
        free, holding = self.holding(complement(masks))
        yield replace(phase, callbacks=holding, free=free)
