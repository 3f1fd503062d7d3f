"""The task `cgap.stages`: the classes of the first stages of a sequence, as a task of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nasplug.contract.errors import SpecError
from nasplug.contract.protocols import Task
from nasplug_cgap.sequence.schedule import ClassSequence, ScheduleLike, parse_schedule

if TYPE_CHECKING:
    from pytorch_lightning import LightningDataModule, LightningModule
    from torch import nn

    from nasplug.contract.records import Scalar


class StageTask:
    """Another task with the classes of its first stages alone, for networks that are to be inherited.

    Networks keep an output for every class of the whole task, so that they can go on to learn the others. Training,
    validation and test data are those of the inner task, without the samples of later classes.

    Example:
        >>> task = StageTask(ImageClassification(), schedule="8+2")

    Args:
        task: Classification task with all classes.
        schedule: Number of classes of every stage; see `nasplug_cgap.sequence.schedule.parse_schedule`.
        stages: Number of stages whose classes are there.
        order: Seed that shuffles the classes; None means the order of the labels.

    Raises:
        SpecError: The schedule cannot be read, or has fewer stages.
    """

    def __init__(self, task: Task, schedule: ScheduleLike = "5+5", stages: int = 1, order: int | None = 0) -> None:
        sizes = parse_schedule(schedule, "cgap.stages")
        if not 1 <= stages <= len(sizes):
            raise SpecError(
                f"the schedule {schedule!r} has {len(sizes)} stages, and {stages} are asked for",
                where="cgap.stages",
                fix=f"set stages to 1..{len(sizes)}",
            )
        self.task, self.schedule, self.stages, self.order = task, schedule, stages, order

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return self.task.input_shape

    @property
    def outputs(self) -> int:
        """Number of classes of all stages."""
        return self.task.outputs

    @property
    def objectives(self) -> Mapping[str, str]:
        """The metrics of the inner task."""
        return self.task.objectives

    @property
    def classes(self) -> tuple[int, ...]:
        """Labels that are there.

        Raises:
            SpecError: The schedule has another number of classes than the task.
        """
        return ClassSequence.of(self.schedule, self.outputs, self.order, "cgap.stages").seen(self.stages - 1)

    def datamodule(self) -> LightningDataModule:
        """A data module of the inner task whose loaders leave out the samples of later classes."""
        data = self.task.datamodule()
        classes = self.classes
        for name in ("train_dataloader", "val_dataloader", "test_dataloader"):
            if callable(getattr(data, name, None)):
                setattr(data, name, _restricted(getattr(data, name), classes))
        return data

    def module(self, network: nn.Module, hyperparameters: Mapping[str, Scalar]) -> LightningModule:
        """The inner task's module."""
        return self.task.module(network, hyperparameters)

    def check_hyperparameters(self, names: Sequence[str]) -> None:
        """See the inner task."""
        self.task.check_hyperparameters(names)

    def remark(self, metrics: Mapping[str, float]) -> str | None:
        """Says nothing: what the inner task would say counts the samples of all classes."""
        return None

    def __getattr__(self, name: str) -> Any:
        """Optional members, such as `check` and `class_names`, are those of the inner task."""
        if name.startswith("_") or name == "task":
            raise AttributeError(name)
        return getattr(self.task, name)


def _restricted(whole: Callable[[], object], classes: Sequence[int]) -> Callable[[], object]:
    def loader() -> object:
        from nasplug_cgap.sequence.loaders import Indexed

        data = Indexed(whole(), "cgap.stages")
        return data.take(data.of(classes))

    return loader
