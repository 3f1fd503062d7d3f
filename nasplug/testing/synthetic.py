"""A small search problem that costs nothing to evaluate: for trying strategies out, and for testing them."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nasplug.contract.errors import SpaceError, TaskError, TrialError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import JsonObject
from nasplug.contract.protocols import Choice, Task
from nasplug.contract.records import Architecture, Evaluation, Measurement, Scalar
from nasplug.spaces.choices import ChoiceSpace
from nasplug.spaces.graph import Graph

if TYPE_CHECKING:
    from pytorch_lightning import LightningDataModule, LightningModule
    from torch import nn

    from nasplug.contract.io import OutputKind
    from nasplug.cost.candidate import Candidate
from nasplug.evaluate.trialrun import TrialRun

#: Operations of the synthetic cell, the weakest first; the value of an operation is its position.
OPERATIONS = ("skip", "narrow", "middle", "wide")


class SyntheticSpace(ChoiceSpace):
    """A chain of positions with one of four operations each; it has every capability.

    The networks it builds are small multi-layer perceptrons, so that the space trains where torch is installed.

    Args:
        length: Number of positions.
    """

    def __init__(self, length: int = 6) -> None:
        super().__init__("synthetic", [Choice(f"position{i}", OPERATIONS) for i in range(length)])

    def graph(self, architecture: Architecture) -> Graph:
        """The chain of operations."""
        assert isinstance(architecture.genotype, tuple)
        return Graph.chain(tuple(str(operation) for operation in architecture.genotype))

    def from_graph(self, graph: Graph) -> Architecture:
        """The architecture of a chain.

        Raises:
            SpaceError: The graph is not a chain of the space's operations.
        """
        operations = graph.labels[1:-1]
        if graph != Graph.chain(operations):
            raise SpaceError("the graph is not a chain", where=f"space {self.name!r}")
        return self.architecture(operations)

    def build(self, architecture: Architecture, task: Task) -> nn.Module:
        """A perceptron with a hidden layer per position that is not `skip`, 4, 8 or 16 units wide."""
        from torch import nn

        layers: list[nn.Module] = [nn.Flatten()]
        features = math.prod(task.input_shape)
        for index in map(int, self.vector(architecture)):
            if index:
                width = 2 ** (index + 1)
                layers += [nn.Linear(features, width), nn.ReLU()]
                features = width
        return nn.Sequential(*layers, nn.Linear(features, task.outputs))


class SyntheticEvaluator:
    """Two objectives with a known best: `val_acc` rewards strong operations and fitting neighbours, `params` costs.

    `val_acc` follows a learning curve over the epochs of the trial, steeper for weaker operations, so that early
    results are a fair but not perfect guide. Equal neighbours cost a little, so that positions depend on each other.

    Args:
        noise: Standard deviation of `val_acc`, drawn from the trial's seed.
        failing: Share of the architectures that fail, always the same ones.
        halting: Share of the architectures whose training is stopped early.
    """

    objectives = {"val_acc": "max", "params": "min"}  # noqa: RUF012

    def __init__(self, noise: float = 0.0, failing: float = 0.0, halting: float = 0.0) -> None:
        self.noise, self.failing, self.halting = noise, failing, halting

    @hookimpl
    def evaluate(self, run: TrialRun) -> Evaluation:
        """Looks the curve up, epoch by epoch."""
        architecture = run.trial.architecture
        options = _options(architecture)
        if _share(architecture, "fail") < self.failing:
            raise TrialError("shape", "this architecture fails by request")
        noise = self.noise * float(np.random.default_rng(run.trial.seed).standard_normal())
        params = float(sum(4**option for option in options))
        halted = _share(architecture, "halt") < self.halting
        reason = "halted by request" if halted else None
        for epoch in range(run.budget.epochs):
            metrics = {"val_acc": accuracy(options, epoch + 1) + noise, "params": params}
            reason = run.report(Measurement(epoch, metrics)) or reason
            if reason:
                break
        final = run.measurements[-1].metrics if run.measurements else {"val_acc": 0.0, "params": params}
        return Evaluation(final, tuple(run.measurements), pruned=reason)


class SyntheticCost:
    """`units`: how many operations are not `skip`, weighted by their width; needs no network."""

    @hookimpl
    def cost(self, candidate: Candidate) -> dict[str, float]:
        """The weighted count."""
        assert candidate.architecture is not None
        return {"units": float(sum(_options(candidate.architecture)))}


class SyntheticTarget:
    """Hardware on which every operation takes as many milliseconds as it is wide."""

    def __init__(self) -> None:
        self.name = "synthetic"
        self.capabilities: JsonObject = {}

    def estimate(self, candidate: Candidate) -> dict[str, float]:
        """`latency_s`, from the architecture alone."""
        assert candidate.architecture is not None
        return {"latency_s": 1e-3 * sum(_options(candidate.architecture))}


class Shapes:
    """A task that is nothing but shapes: enough to build networks, not to train them.

    Args:
        input_shape: Shape of one input without the batch, e.g. (channels, height, width).
        outputs: Number of outputs a network must have.
        output: Kind of output.
    """

    objectives = {"val_acc": "max"}  # noqa: RUF012

    def __init__(
        self, input_shape: tuple[int, ...] = (3, 32, 32), outputs: int = 10, output: OutputKind = "vector"
    ) -> None:
        self.input_shape, self.outputs, self.output = tuple(input_shape), outputs, output

    def datamodule(self) -> LightningDataModule:
        """There are no data.

        Raises:
            TaskError: Always.
        """
        raise TaskError("this task is only shapes, it has no data", where="nasplug.testing.Shapes")

    def module(self, network: nn.Module, hyperparameters: Mapping[str, Scalar]) -> LightningModule:
        """There is no training.

        Raises:
            TaskError: Always.
        """
        raise TaskError("this task is only shapes, it trains nothing", where="nasplug.testing.Shapes")

    def check_hyperparameters(self, names: Sequence[str]) -> None:
        """Takes any."""


def accuracy(options: tuple[int, ...], epochs: int) -> float:
    """Noise-free `val_acc` in [0, 1] after some epochs; close to its limit after 9.

    Args:
        options: Index of the operation at every position.
        epochs: Number of epochs, at least 1.
    """
    best = len(OPERATIONS) - 1
    quality = sum(options) / (best * len(options))
    clashes = sum(first == second for first, second in itertools.pairwise(options)) / max(1, len(options) - 1)
    limit = 0.5 + 0.5 * quality - 0.2 * clashes
    return limit * (1.0 - 0.6 * math.exp(-epochs / (1.0 + quality)))


def best_accuracy(length: int = 6, epochs: int = 1) -> float:
    """The highest noise-free `val_acc` in the space, by trying all architectures."""
    return max(accuracy(options, epochs) for options in itertools.product(range(len(OPERATIONS)), repeat=length))


def _options(architecture: Architecture) -> tuple[int, ...]:
    """Works for any space, so that a strategy can be tried on its own space without training."""
    genotype = architecture.genotype
    if isinstance(genotype, tuple) and genotype and all(item in OPERATIONS for item in genotype):
        return tuple(OPERATIONS.index(str(item)) for item in genotype)
    return tuple(int(_share(architecture, f"option{i}") * len(OPERATIONS)) for i in range(6))


def _share(architecture: Architecture, role: str) -> float:
    """A number in [0, 1) that belongs to the architecture."""
    text = json.dumps([architecture.space, architecture.key, role])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "little") / 2**56
