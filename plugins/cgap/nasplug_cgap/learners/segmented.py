"""What PST and Acquisitive Learning share: segments of units that are frozen as stages go by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nasplug.evaluate.trainer import as_callback
from nasplug_cgap.learners.course import Course, MakeCallback
from nasplug_cgap.learners.layers import Layer
from nasplug_cgap.learners.learner import Method
from nasplug_cgap.learners.segments import (
    Frozen,
    Masks,
    Norms,
    Restoring,
    Score,
    important,
    union,
    unit_scores,
    weight_of,
)
from nasplug_cgap.sequence.loaders import Positions


class Segmented(Method):
    """A learner that freezes units.

    Args:
        course: The trial on its way.
        score: Importance of a unit.
        batches: Number of batches that gradients are averaged over.
        norms: Parts of batch normalisation that are frozen with units.
        head: Whether rows of the head are units too.

    Attributes:
        frozen: Units that stay as they are, by name of the layer.
        layers: Layers with units.

    Raises:
        TrialError: The network does not end with a linear layer.
    """

    def __init__(self, course: Course, score: Score, batches: int, norms: Norms, *, head: bool) -> None:
        super().__init__(course)
        course.layers.need_head(course.where)
        self._score, self._batches, self._norms = score, batches, norms
        self.layers: Sequence[Layer] = course.layers.layers if head else course.layers.body
        self.frozen: Masks = {}

    def segment(self, stage: int, samples: Positions) -> Masks:
        """Returns the units that matter most for the classes of a stage, of those that are free.

        Args:
            stage: Index of the stage; its share of all classes is the share of units.
            samples: Training samples that gradients are taken on.
        """
        course = self.course
        gradients = self._gradients(stage, samples) if self._score != "abs_w" else {}
        scores = unit_scores(course.network, self.layers, self._score, gradients)
        return important(scores, course.sequence.share(stage), self.frozen)

    def rate(self, stage: int, given: float | None) -> float:
        """Returns the factor of the learning rate in a later stage.

        Args:
            stage: Index of the stage.
            given: Factor that was asked for; None means the number of classes of the stage over that of the first one,
                at most 1, so that a few classes do not move a network that has learned many.
        """
        first, *_ = stages = self.course.sequence.stages
        return min(1.0, len(stages[stage]) / len(first)) if given is None else given

    def freeze(self, masks: Mapping[str, Tensor]) -> None:
        """Adds a segment to the frozen ones."""
        self.frozen = union(self.frozen, masks)

    def holding(self, masks: Mapping[str, Tensor]) -> tuple[dict[str, float], list[MakeCallback]]:
        """Returns the free share of every layer, and what makes the callback that keeps the other units.

        Args:
            masks: Units that stay as they are, by name of the layer.
        """
        shares = {name: 1.0 - float(mask.float().mean()) for name, mask in masks.items()}
        frozen = Frozen(self.course.network, self.layers, masks, self._norms)

        def restoring(lightning: ModuleType) -> object:
            made: object = as_callback(Restoring, lightning)(frozen)
            return made

        return shares, [restoring]

    def _gradients(self, stage: int, samples: Positions) -> Masks:
        """Mean over batches of the absolute gradient of every layer's weight; the network is left as it was."""
        course, network = self.course, self.course.network
        rng = np.random.default_rng(course.seed(f"scores:{stage}"))
        drawn = rng.permutation(samples)
        weights = {layer.name: weight_of(network, layer.name) for layer in self.layers}
        if not weights:
            return {}
        sums = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        training, count = network.training, 0
        network.to(course.device).eval()
        for inputs, targets in course.batches(drawn):
            if count == self._batches:
                break
            loss = functional.cross_entropy(network(inputs), targets)
            for name, gradient in zip(
                weights, torch.autograd.grad(loss, list(weights.values()), allow_unused=True), strict=True
            ):
                if gradient is not None:
                    sums[name] += gradient.abs()
            course.meter.train(len(inputs))
            count += 1
        network.train(training)
        return {name: total / max(1, count) for name, total in sums.items()}

    def state_dict(self) -> dict[str, Tensor]:
        """Frozen units."""
        return {name: mask.to(torch.uint8) for name, mask in self.frozen.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restores them."""
        self.frozen = {name: mask.bool().to(self.course.device) for name, mask in state.items()}
