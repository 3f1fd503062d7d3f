"""Elastic weight consolidation: weights that mattered for earlier classes are held where they were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nasplug.contract.errors import SpecError
from nasplug.evaluate.trainer import as_callback
from nasplug_cgap.learners.course import Course, Phase
from nasplug_cgap.learners.learner import Learner, Method
from nasplug_cgap.sequence.loaders import Positions
from nasplug_cgap.sequence.schedule import ScheduleLike


class EWC(Learner):
    """Adds strength / 2 times the sum of F (w - w*)^2 to the loss, w* the weights after the earlier stages.

    F is the diagonal of the Fisher information, the mean over samples of the squared gradient of the log likelihood,
    with labels drawn from what the network answers; those of several stages are added up. It keeps no samples. Source:
    Kirkpatrick et al., "Overcoming catastrophic forgetting in neural networks", PNAS 114(13), 2017; the sum over stages
    with one anchor is that of Huszar, PNAS 115(11), 2018.

    Args:
        schedule: Number of classes of every stage.
        order: Seed that shuffles the classes; None means the order of the labels.
        strength: Strength of the penalty.
        samples: Number of training samples that the Fisher information of a stage is measured on.
        inherit_only: Whether trials that start from new weights end after the first stage.

    Raises:
        SpecError: The strength is negative, or there are no samples.
    """

    slug = "cgap.ewc"

    def __init__(
        self,
        schedule: ScheduleLike = "5+5",
        order: int | None = 0,
        strength: float = 1000.0,
        samples: int = 256,
        inherit_only: bool = False,
    ) -> None:
        super().__init__(schedule, order, inherit_only)
        if strength < 0.0 or samples < 1:
            raise SpecError(f"strength must be >= 0 and samples >= 1, got {strength} and {samples}", where=self.slug)
        self.strength, self.samples = strength, samples

    def method(self, course: Course) -> Method:
        """See the base class."""
        return _EWC(course, self)


class _EWC(Method):
    def __init__(self, course: Course, learner: EWC) -> None:
        super().__init__(course)
        self._learner = learner
        self._fisher: dict[str, Tensor] = {}
        self._anchor: dict[str, Tensor] = {}

    def phases(self, stage: int, *, inherited: bool) -> Iterator[Phase]:
        course = self.course
        own = course.data.of(course.sequence.stages[stage])
        if not inherited:
            callbacks = [self._pull] if self._anchor else []
            yield Phase("train", course.run.budget.epochs, lambda _: own, callbacks=callbacks)
        if stage + 1 < len(course.sequence):
            self._remember(own, stage)

    def _pull(self, lightning: ModuleType) -> object:
        made: object = as_callback(Pull, lightning)(
            self.course.network, self._fisher, self._anchor, self._learner.strength
        )
        return made

    def _remember(self, own: Positions, stage: int) -> None:
        """Measures the Fisher information on single samples, as the square of a mean is not the mean of squares."""
        course, network = self.course, self.course.network
        chosen = np.random.default_rng(course.seed(f"fisher:{stage}")).permutation(own)[: self._learner.samples]
        named = {name: p for name, p in network.named_parameters() if p.requires_grad}
        sums = {name: torch.zeros_like(parameter) for name, parameter in named.items()}
        generator = torch.Generator().manual_seed(course.seed(f"labels:{stage}"))
        training = network.training
        network.to(course.device).eval()
        for inputs, _ in course.batches(chosen):
            for sample in torch.split(inputs, 1):
                scores = functional.log_softmax(network(sample), 1)
                label = torch.multinomial(scores.detach().exp().cpu(), 1, generator=generator)[0].to(scores.device)
                gradients = torch.autograd.grad(scores[0, label[0]], list(named.values()), allow_unused=True)
                for name, gradient in zip(named, gradients, strict=True):
                    if gradient is not None:
                        sums[name] += gradient.square() / len(chosen)
            course.meter.train(len(inputs))
        network.train(training)
        for name, values in sums.items():
            self._fisher[name] = values + self._fisher[name] if name in self._fisher else values
            self._anchor[name] = named[name].detach().clone()

    def state_dict(self) -> dict[str, Tensor]:
        parts = {"fisher": self._fisher, "anchor": self._anchor}
        return {f"{part}.{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        for key, tensor in state.items():
            part, _, name = key.partition(".")
            (self._fisher if part == "fisher" else self._anchor)[name] = tensor


class Pull:
    """Takes the step of the penalty after every step of the optimiser. A mixin for the `Callback` of Lightning.

    With s the learning rate times the strength, w becomes (w + s F w*) / (1 + s F): the step of gradient descent on the
    penalty, taken implicitly, so that no strength makes it overshoot.

    Args:
        network: Network in training.
        fisher: Fisher information of every weight, by name.
        anchor: Weights to stay near, by name.
        strength: Strength of the penalty.
    """

    def __init__(
        self, network: nn.Module, fisher: Mapping[str, Tensor], anchor: Mapping[str, Tensor], strength: float
    ) -> None:
        super().__init__()
        self._network, self._fisher, self._anchor, self._strength = network, fisher, anchor, strength
        self._pairs: dict[int, tuple[Tensor, Tensor]] = {}

    def on_train_start(self, trainer: Any, module: Any) -> None:
        """Brings everything to the device of the weights."""
        self._pairs = {
            id(parameter): (self._fisher[name].to(parameter.device), self._anchor[name].to(parameter.device))
            for name, parameter in self._network.named_parameters()
            if name in self._fisher
        }

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: object, batch: object, batch_idx: int) -> None:
        """Takes it."""
        with torch.no_grad():
            for group in (group for optimizer in trainer.optimizers for group in optimizer.param_groups):
                for parameter in group["params"]:
                    if id(parameter) in self._pairs:
                        fisher, anchor = self._pairs[id(parameter)]
                        weight = group["lr"] * self._strength * fisher
                        parameter.add_(weight * anchor).div_(1.0 + weight)
