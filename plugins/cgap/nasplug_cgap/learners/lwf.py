"""Learning without forgetting: on new samples, the network keeps the answers that it gave for earlier classes."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nasplug.contract.errors import SpecError
from nasplug.evaluate.trainer import as_callback
from nasplug_cgap.learners.course import Course, Phase
from nasplug_cgap.learners.learner import Learner, Method
from nasplug_cgap.sequence.schedule import ScheduleLike


class LwF(Learner):
    """Adds `strength` times the distillation loss between the network before the stage and the one in training.

    With z the logits of the classes seen before, the loss is T^2 KL(softmax(z_before / T) || softmax(z / T)), on the
    samples of the stage. It keeps no samples, and runs the network of the stage before on every image. Source: Li and
    Hoiem, "Learning without Forgetting", ECCV 2016 (T = 2).

    Args:
        schedule: Number of classes of every stage.
        order: Seed that shuffles the classes; None means the order of the labels.
        strength: Weight of the distillation loss.
        temperature: Temperature T.
        inherit_only: Whether trials that start from new weights end after the first stage.

    Raises:
        SpecError: The strength is negative, or the temperature is not positive.
    """

    slug = "cgap.lwf"

    def __init__(
        self,
        schedule: ScheduleLike = "5+5",
        order: int | None = 0,
        strength: float = 1.0,
        temperature: float = 2.0,
        inherit_only: bool = False,
    ) -> None:
        super().__init__(schedule, order, inherit_only)
        if strength < 0.0 or temperature <= 0.0:
            raise SpecError(
                f"strength must be >= 0 and temperature > 0, got {strength} and {temperature}", where=self.slug
            )
        self.strength, self.temperature = strength, temperature

    def method(self, course: Course) -> Method:
        """See the base class."""
        return _LwF(course, self)


class _LwF(Method):
    def __init__(self, course: Course, learner: LwF) -> None:
        super().__init__(course)
        self._learner = learner

    def phases(self, stage: int, *, inherited: bool) -> Iterator[Phase]:
        if inherited:
            return
        course, learner = self.course, self._learner
        own = course.data.of(course.sequence.stages[stage])
        callbacks = []
        if stage:
            teacher = copy.deepcopy(course.network).eval().requires_grad_(False)
            classes = course.sequence.seen(stage - 1)

            def distil(lightning: ModuleType) -> object:
                made: object = as_callback(Distil, lightning)(course, teacher, classes, learner)
                return made

            callbacks = [distil]
        yield Phase("train", course.run.budget.epochs, lambda _: own, callbacks=callbacks)


class Distil:
    """Adds the gradient of the distillation loss to that of the task. A mixin for the `Callback` of Lightning.

    Args:
        course: The trial on its way.
        teacher: Network before the stage.
        classes: Labels of the classes seen before.
        learner: Strength and temperature.
    """

    def __init__(self, course: Course, teacher: nn.Module, classes: Sequence[int], learner: LwF) -> None:
        super().__init__()
        self._course, self._teacher, self._learner = course, teacher, learner
        self._classes = torch.tensor(sorted(classes))
        self._call: tuple[tuple[Any, ...], Mapping[str, Any], Tensor] | None = None
        self._hook: Any = None

    def on_train_start(self, trainer: Any, module: Any) -> None:
        """Begins to note what the network is called with, and what it answers."""
        self._teacher.to(module.device)
        self._classes = self._classes.to(module.device)

        def note(_: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Tensor) -> None:
            self._call = args, kwargs, output

        self._hook = self._course.network.register_forward_hook(note, with_kwargs=True)

    def on_before_backward(self, trainer: Any, module: Any, loss: Tensor) -> None:
        """Adds it; the graph of the answers is kept for the loss of the task."""
        if self._call is None:
            return
        args, kwargs, output = self._call
        self._call = None
        with torch.no_grad():
            before = self._teacher(*args, **kwargs)
        self._course.meter.forward(len(output))
        temperature = self._learner.temperature
        target = (before[:, self._classes] / temperature).log_softmax(1)
        answer = (output[:, self._classes] / temperature).log_softmax(1)
        divergence = functional.kl_div(answer, target, reduction="batchmean", log_target=True)
        torch.autograd.backward(self._learner.strength * temperature**2 * divergence, retain_graph=True)

    def on_train_end(self, trainer: Any, module: Any) -> None:
        """Takes no more notes."""
        if self._hook is not None:
            self._hook.remove()
