"""Hyperparameters beside the architecture: a space whose points are an architecture and how it is trained.

Every strategy searches such a space as it does any other, and knows nothing of hyperparameters. The run takes them out
of the architectures that were proposed, see `nasplug.run.hyperparameters`, and hands them to the task's module.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from nasplug.contract.choice import Choice
from nasplug.contract.errors import SpaceError, SpecError
from nasplug.contract.grammar import DomainLike, parse
from nasplug.contract.io import Inputs
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.contract.members import check_member
from nasplug.contract.protocols import (
    CAPABILITIES,
    HasLabels,
    HasTrainedPart,
    HasVector,
    SearchSpace,
    bind,
    withdraw,
)
from nasplug.contract.ranges import Categorical
from nasplug.contract.records import Architecture, Scalar
from nasplug.spaces.choices import ChoiceSpace
from nasplug.spaces.decisions import chain_of, decisions_of
from nasplug.spaces.graph import Graph

if TYPE_CHECKING:
    from torch import nn

    from nasplug.contract.protocols import Task
    from nasplug.contract.ranges import Domain
    from nasplug.workloads.workload import Workload

#: The methods of this space that need the same of the space inside.
_NEEDS = {
    "Mutates": ("mutate",),
    "Crosses": ("cross",),
    "Enumerates": ("__iter__",),
    "HasGraph": ("graph",),
    "HasNeighbours": ("neighbours",),
    "HasVector": ("vector", "from_vector", "active"),
    "HasWorkload": ("workload",),
}


class HyperparameterSpace:
    """A search space together with hyperparameters of the training.

    It has the capabilities of the space inside, except that it has no table. A mutation changes one decision, of the
    architecture or of the training, all of them being equally likely; where the space inside has no vector of
    decisions, the training is changed half of the time. Graphs show every hyperparameter on a path of its own from
    input to output: an option as a node, a number as one node for every eighth of its range that it reaches, so that
    near numbers share most nodes.

    Args:
        space: Space of the architectures.
        hyperparameters: Hyperparameters by name: a range or choices in the grammar of `nasplug.contract.grammar`, or a
            fixed value. A mapping may hold `when: {other hyperparameter: value}`, for those that are not always there.

    Attributes:
        inner: Space of the architectures.
        trained: Space of the searched hyperparameters.

    Raises:
        SpecError: A hyperparameter has another form, or none is searched.
        SpaceError: A condition names no earlier hyperparameter, or a value that it cannot have.
    """

    def __init__(self, space: SearchSpace, hyperparameters: Mapping[str, DomainLike]) -> None:
        self.inner: Any = space
        self.name = f"{space.name}+hyperparameters"
        self._fixed: dict[str, Scalar] = {}
        found = []
        for name, value in hyperparameters.items():
            if value is None or isinstance(value, (str, int, float, bool)):
                self._fixed[name] = value
            else:
                found.append(_choice(name, value))
        if not found:
            raise SpecError(
                "no hyperparameter is searched",
                where="hyperparameters",
                fix="give one of them a range or choices, or give fixed values to the task",
            )
        self.trained = _Trained(self.name, found)
        self._drop_what_is_missing()

    @classmethod
    def nasplug_examples(cls) -> list[JsonObject]:
        """What `nasplug test-plugin` tries the space with."""
        trained: dict[str, Json] = {
            "lr": {"low": 1e-4, "high": 1e-1, "log": True},
            "optimizer": ["adam", "sgd"],
            "momentum": {"low": 0.0, "high": 0.99, "when": {"optimizer": "sgd"}},
        }
        return [{"space": "nasbench201", "hyperparameters": trained}]

    def _drop_what_is_missing(self) -> None:
        missing = {
            method
            for name, methods in _NEEDS.items()
            if not isinstance(self.inner, CAPABILITIES[name])
            for method in methods
        }
        if any(choice.continuous for choice in self.trained.choices):
            missing.add("__iter__")
        if missing:
            withdraw(self, *missing)

    @property
    def hyperparameter_names(self) -> tuple[str, ...]:
        """Searched and fixed ones."""
        return (*(choice.name for choice in self.trained.choices), *self._fixed)

    def hyperparameters(self, architecture: Architecture) -> dict[str, Scalar]:
        """The fixed ones, and the searched ones that are active."""
        return {**self._fixed, **self.trained.active(self._halves(architecture)[1])}

    def inner_architecture(self, architecture: Architecture) -> Architecture:
        """The architecture alone."""
        return self._halves(architecture)[0]

    # -- search space --------------------------------------------------------------------------------------------

    def architecture(self, genotype: Json) -> Architecture:
        """Makes a point with its canonical key.

        Args:
            genotype: A pair: a genotype of the space inside, and the values of the hyperparameters, as a sequence or by
                name.

        Raises:
            SpaceError: One of the two is not in its space.
        """
        if not isinstance(genotype, (list, tuple)) or len(genotype) != 2:
            raise SpaceError(
                f"{genotype!r} is not a pair of a genotype and hyperparameters",
                where=f"space {self.name!r}",
                fix="write [genotype, {name: value}]",
            )
        return self._make(self.inner.architecture(genotype[0]), self.trained.architecture(genotype[1]))

    def _make(self, architecture: Architecture, trained: Architecture) -> Architecture:
        key = f"{architecture.key} {json.dumps(self.trained.active(trained), separators=(',', ':'))}"
        return Architecture(self.name, (architecture.genotype, trained.genotype), key)

    def _halves(self, architecture: Architecture) -> tuple[Architecture, Architecture]:
        genotype: Any = architecture.genotype
        return self.inner.architecture(genotype[0]), self.trained.architecture(genotype[1])

    def validate(self, architecture: Architecture) -> None:
        """Checks name, genotype and key.

        Raises:
            SpaceError: The architecture is not of this space.
        """
        check_member(self, architecture)

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Draws the architecture from its space's prior, and every hyperparameter evenly on its scale."""
        architecture = self.inner.sample(rng)
        return self._make(architecture, self.trained.sample(rng))

    def build(self, architecture: Architecture, task: Task) -> nn.Module:
        """Builds the untrained network, which no hyperparameter changes."""
        network: nn.Module = self.inner.build(self.inner_architecture(architecture), task)
        return network

    @property
    def produces(self) -> tuple[str, ...] | None:
        """What networks of the space inside give; None if it does not say."""
        return getattr(self.inner, "produces", None)

    def check_inputs(self, inputs: Inputs) -> None:
        """Refuses what the space inside refuses.

        Raises:
            SpecError: Its networks cannot take such inputs.
        """
        check = getattr(self.inner, "check_inputs", None)
        if check is not None:
            check(inputs)

    def bind(self, task: Task) -> None:
        """Lets the space inside look at the task, if it wants to."""
        bind(self.inner, task)

    # -- capabilities --------------------------------------------------------------------------------------------

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Changes one decision of the architecture or of the training."""
        inner, trained = self._halves(architecture)
        ours = _decisions(self.trained, trained)
        theirs = _decisions(self.inner, inner) if isinstance(self.inner, HasVector) else ours
        if rng.random() * (ours + theirs) < ours:
            return self._make(inner, self.trained.mutate(trained, rng))
        return self._make(self.inner.mutate(inner, rng), trained)

    def cross(self, first: Architecture, second: Architecture, rng: np.random.Generator) -> Architecture:
        """Crosses architectures, and hyperparameters uniformly."""
        (one, trained), (other, otherwise) = self._halves(first), self._halves(second)
        child = self.inner.cross(one, other, rng)
        return self._make(child, self.trained.cross(trained, otherwise, rng))

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """Those of the architecture, then those of the training."""
        inner, trained = self._halves(architecture)
        found = [self._make(each, trained) for each in self.inner.neighbours(inner)]
        return found + [self._make(inner, each) for each in self.trained.neighbours(trained)]

    def size(self) -> int:
        """Number of pairs of genotypes.

        Raises:
            SpaceError: A hyperparameter is continuous.
        """
        return int(self.inner.size()) * self.trained.size()

    def __iter__(self) -> Iterator[Architecture]:
        trained = list(self.trained)
        for architecture in self.inner:
            for each in trained:
                yield self._make(architecture, each)

    @property
    def choices(self) -> tuple[Choice, ...]:
        """Those of the space inside, then a choice for every hyperparameter."""
        taken = {choice.name for choice in self.inner.choices}
        names = {choice.name: _distinct(choice.name, taken) for choice in self.trained.choices}
        ours = [
            Choice(
                names[each.name], each.options, each.weights, each.when and {names[k]: v for k, v in each.when.items()}
            )
            for each in self.trained.choices
        ]
        return (*self.inner.choices, *ours)

    def active(self, architecture: Architecture) -> dict[str, Scalar]:
        """The decisions that are made."""
        inner, trained = self._halves(architecture)
        taken = {choice.name for choice in self.inner.choices}
        made = self.trained.active(trained)
        return {**decisions_of(self.inner, inner), **{_distinct(name, taken): value for name, value in made.items()}}

    def vector(self, architecture: Architecture) -> tuple[float, ...]:
        """The vector of the architecture, followed by that of the training."""
        inner, trained = self._halves(architecture)
        return (*self.inner.vector(inner), *self.trained.vector(trained))

    def from_vector(self, indices: Sequence[float]) -> Architecture:
        """The inverse of `vector`."""
        length = len(self.trained.choices)
        return self._make(self.inner.from_vector(indices[:-length]), self.trained.from_vector(indices[-length:]))

    def graph(self, architecture: Architecture) -> Graph:
        """The architecture's graph, with a path for every active hyperparameter."""
        inner, trained = self._halves(architecture)
        graph: Graph = self.inner.graph(inner)
        labels, edges, last = list(graph.labels[:-1]), list(graph.edges), len(graph.labels) - 1
        chains = [
            chain_of(self.trained.domain(name), name, value) for name, value in self.trained.active(trained).items()
        ]
        end = last + sum(map(len, chains))
        edges = [(source, end if target == last else target) for source, target in edges]
        for chain in chains:
            chained = [0, *range(len(labels), len(labels) + len(chain)), end]
            labels += chain
            edges += pairwise(chained)
        return Graph((*labels, graph.labels[-1]), tuple(edges))

    def workload(self, architecture: Architecture, task: Task) -> Workload:
        """The layers of the network, which no hyperparameter changes."""
        found: Workload = self.inner.workload(self.inner_architecture(architecture), task)
        return found

    def label(self, architecture: Architecture) -> str:
        """The label of the architecture, and the active hyperparameters."""
        inner, trained = self._halves(architecture)
        shown = self.inner.label(inner) if isinstance(self.inner, HasLabels) else inner.key
        return f"{shown} {self.trained.label(trained)}"


def part_of(space: object, whole: object, architecture: Architecture) -> Architecture | None:
    """Returns the architecture of a space that may stand inside of others; None if it is not of that space.

    Args:
        space: Space that asks, such as one whose hook is called.
        whole: Space of the study.
        architecture: Architecture of a trial.
    """
    if whole is space:
        return architecture
    if isinstance(whole, HyperparameterSpace) and architecture.space == whole.name:
        return part_of(space, whole.inner, whole.inner_architecture(architecture))
    if isinstance(whole, HasTrainedPart):
        return part_of(space, whole.inner, whole.trained_part(architecture))
    return None


class _Trained(ChoiceSpace):
    """Hyperparameters as choices."""

    def domain(self, name: str) -> Domain:
        return next(choice.domain for choice in self.choices if choice.name == name)

    def build(self, architecture: Architecture, task: Task) -> nn.Module:
        raise SpaceError("hyperparameters alone are not a network", where=f"space {self.name!r}")


def _choice(name: str, value: DomainLike) -> Choice:
    where = f"hyperparameters.{name}"
    when: JsonObject | None = None
    if isinstance(value, Mapping) and "when" in value:
        condition = value["when"]
        value = {key: item for key, item in value.items() if key != "when"}
        if not isinstance(condition, Mapping):
            raise SpecError(
                f"cannot read {condition!r}", where=f"{where}.when", fix="write {other hyperparameter: value}"
            )
        when = condition
    domain = parse(value, where=where)
    if isinstance(domain, Categorical):
        return Choice(name, domain.options, domain.weights, when)
    return Choice(name, domain, None, when)


def _distinct(name: str, taken: set[str]) -> str:
    """Name of a hyperparameter as a choice: its own, unless the space inside has a choice of that name."""
    return f"{name} (training)" if name in taken else name


def _decisions(space: Any, architecture: Architecture) -> int:
    """How many decisions of an architecture could be made otherwise."""
    made = decisions_of(space, architecture)
    return sum(choice.name in made and choice.domain.size != 1 for choice in space.choices)
