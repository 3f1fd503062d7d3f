"""What all learners of a sequence share: an evaluator whose trials go through the stages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from nasplug.contract.errors import SpecError, TrialError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.records import Evaluation
from nasplug.evaluate.lightning import parent_weights
from nasplug.evaluate.tensors import save_tensors
from nasplug.evaluate.trainer import quiet
from nasplug.evaluate.weights import FILE_NAME, read_tensors, save_weights
from nasplug.run.seeding import seed_everything
from nasplug_cgap.learners.course import Course, Phase
from nasplug_cgap.learners.training import train
from nasplug_cgap.sequence.memory import Memory
from nasplug_cgap.sequence.schedule import ClassSequence, ScheduleLike, parse_schedule

if TYPE_CHECKING:
    from nasplug.evaluate.trialrun import TrialRun

STATE = "state.safetensors"


class Method:
    """One learner in one trial.

    Args:
        course: The trial on its way.
    """

    def __init__(self, course: Course) -> None:
        self.course = course

    def phases(self, stage: int, *, inherited: bool) -> Iterator[Phase]:
        """Yields the fits of a stage; each is trained before the next one is asked for.

        Args:
            stage: Index of the stage.
            inherited: Whether the network has learned the classes of the stage already, which holds for the first stage
                of a trial that starts from the weights of another one.
        """
        raise NotImplementedError

    def state_dict(self) -> dict[str, Tensor]:
        """What the next stage needs beside the network, as tensors by name."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restores `state_dict`."""


class Learner(ABC):
    """Learns the classes of a task in stages, and answers how well all of them are known at the end.

    The epochs of the budget are those of one stage. Every stage is a stage of the trial: an interrupted trial goes on
    with the next one. A trial that starts from the weights of another one (`weights_of`) has learned its first stage.

    ==============================  ===================================================================================
    metric                          value
    ==============================  ===================================================================================
    `val_acc`                       accuracy on the validation samples of all classes; one head names all of them
    `seen_acc`                      the same over the classes of the stages that were learned
    `forgetting`                    mean drop from the best accuracy that an earlier stage once had
    `bwt`, `fwt`                    backward transfer; forward transfer, with a head for each stage
    `stage_acc`                     accuracy if answers are chosen among the classes of the sample's own stage
    `train_flops`                   floating-point operations of all trainings
    `train_flops_per_image`         the same per training image, each counted once
    `acquire_flops_per_image`       the same from the second stage on
    `memory_bytes`                  size of the samples of earlier classes that are kept at most
    ==============================  ===================================================================================

    Args:
        schedule: Number of classes of every stage; see `nasplug_cgap.sequence.schedule.parse_schedule`.
        order: Seed that shuffles the classes; None means the order of the labels.
        inherit_only: Whether trials that start from new weights end after the first stage.

    Raises:
        SpecError: The schedule cannot be read.
    """

    needs_task = True
    objectives: ClassVar[Mapping[str, str]] = {
        "val_acc": "max",
        "seen_acc": "max",
        "forgetting": "min",
        "bwt": "max",
        "fwt": "max",
        "stage_acc": "max",
        "train_flops": "min",
        "train_flops_per_image": "min",
        "acquire_flops_per_image": "min",
        "memory_bytes": "min",
    }
    #: Name under which it is announced.
    slug: ClassVar[str]

    def __init__(self, schedule: ScheduleLike = "5+5", order: int | None = 0, inherit_only: bool = False) -> None:
        parse_schedule(schedule, self.slug)
        self.schedule, self.order, self.inherit_only = schedule, order, inherit_only

    @abstractmethod
    def method(self, course: Course) -> Method:
        """Makes the learner of one trial.

        Args:
            course: The trial on its way.
        """

    @property
    def replay(self) -> Memory | None:
        """The memory, if the learner keeps samples."""
        return None

    def check(self, sequence: ClassSequence) -> None:
        """Refuses settings that do not fit a sequence.

        Args:
            sequence: Classes of the stages.

        Raises:
            SpecError: They do not.
        """
        if self.replay is not None:
            self.replay.check(sequence, self.slug)

    @hookimpl
    def evaluate(self, run: TrialRun) -> Evaluation:
        """Goes through the stages.

        Raises:
            SpecError: The settings do not fit the task.
            TrialError: The loss is not finite, or the network cannot be learned in this way.
        """
        with quiet():
            return self._evaluate(run)

    def _evaluate(self, run: TrialRun) -> Evaluation:
        sequence = ClassSequence.of(self.schedule, run.task.outputs, self.order, self.slug)
        self.check(sequence)
        if run.budget.epochs < 1:
            raise SpecError("a stage needs an epoch", where=self.slug, fix="set budget.epochs to 1 or more")
        course = Course(run, sequence, self.slug)
        method = self.method(course)
        inherits = run.trial.proposal.inherits
        if inherits is not None and inherits.mode == "training":
            raise TrialError(
                "error",
                "a sequence of stages cannot be continued with a larger budget",
                where=self.slug,
                why="the epochs of a budget are those of every stage",
                fix="use a strategy that proposes whole trials, or one that starts from weights",
            )
        if inherits is not None:
            run.inherit(course.network, parent_weights(run))
        stages = 1 if self.inherit_only and inherits is None else len(sequence)
        kept: Path | None = None
        resumed: Path | None = None
        work: list[float] = []
        for index in range(stages):
            with run.stage(f"classes-{index}") as stage:
                path = stage.folder / STATE
                if stage.finished:
                    resumed = kept = path
                    work.append(stage.metrics["train_flops"])
                    continue
                if resumed is not None:
                    self._restore(course, method, resumed)
                    resumed = None
                elif index == 0:
                    course.measure(-1)
                seed_everything(stage.seed)
                for phase in method.phases(index, inherited=inherits is not None and index == 0):
                    train(course, phase, index)
                course.measure(index)
                metrics = {**course.scores(), "train_flops": course.meter.total}
                reason = stage.report(run.budget.epochs, metrics)
                if reason is not None and index + 1 < stages:
                    return Evaluation(self._result(course, [*work, course.meter.total], stages), pruned=reason)
                save_tensors(path, course.state(method.state_dict()), what="the state of a stage")
                stage.finish(metrics)
                work.append(course.meter.total)
                if kept is not None:
                    kept.unlink(missing_ok=True)
                kept = path
        if resumed is not None:
            self._restore(course, method, resumed)
        course.network.to("cpu")
        weights = run.folder / FILE_NAME
        save_weights(course.network, weights)
        return Evaluation(
            self._result(course, work, stages),
            artifacts={"weights": run.artifact(weights)},
            network=course.network,
        )

    def _restore(self, course: Course, method: Method, path: Path) -> None:
        method.load_state_dict(course.load(read_tensors(path)))

    def _result(self, course: Course, work: list[float], stages: int) -> dict[str, float]:
        """The metrics of the trial; names as in `objectives`."""
        scores = course.scores()
        sequence = course.sequence
        images = len(course.data.of(sequence.seen(stages - 1)))
        later = images - len(course.data.of(sequence.stages[0]))
        memory = 0
        if self.replay is not None and stages > 1:
            counts = [sum(self.replay.counts(sequence, stage).values()) for stage in range(1, stages)]
            memory = max(counts) * course.data.sample_bytes
        return {
            "val_acc": scores.pop("acc"),
            **scores,
            "train_flops": work[-1],
            "train_flops_per_image": work[-1] / images,
            "acquire_flops_per_image": (work[-1] - work[0]) / later if later else 0.0,
            "memory_bytes": float(memory),
        }
