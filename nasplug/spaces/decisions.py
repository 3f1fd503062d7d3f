"""Decisions as graphs, for methods that compare graphs and spaces that have none."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from nasplug.contract.protocols import HasConditions, HasVector
from nasplug.contract.ranges import Categorical, Domain
from nasplug.contract.records import Architecture, Scalar
from nasplug.spaces.graph import Graph

#: Steps in which graphs show numbers.
LEVELS = 8


def chain_of(domain: Domain, name: str, value: Any) -> list[str]:
    """Labels of the nodes that stand for one decision, at least one.

    An option is a node; a number is one node for every eighth of its range that it reaches, so that near numbers
    share most nodes.

    Args:
        domain: Values that the decision may have.
        name: Name of the decision.
        value: Value that was chosen.
    """
    if isinstance(domain, Categorical):
        return [f"{name}={value}"]
    level = min(int(domain.to_unit(value) * LEVELS), LEVELS - 1)
    return [f"{name}>={step}/{LEVELS}" for step in range(level + 1)]


def decisions_of(space: Any, architecture: Architecture) -> Mapping[str, Scalar]:
    """The decisions of an architecture that are made, with their values.

    Args:
        space: Space with the capability `HasVector`.
        architecture: Architecture of the space.
    """
    if isinstance(space, HasConditions):
        return space.active(architecture)
    vector = space.vector(architecture)
    return {choice.name: choice.value(entry) for choice, entry in zip(space.choices, vector, strict=True)}


def decision_graph(space: HasVector, architecture: Architecture) -> Graph:
    """A graph in which every decision that is made is a path of its own from the input to the output.

    Args:
        space: Space of named decisions.
        architecture: Architecture of the space.
    """
    domains = {choice.name: choice.domain for choice in space.choices}
    chains = [chain_of(domains[name], name, value) for name, value in decisions_of(space, architecture).items()]
    end = 1 + sum(map(len, chains))
    labels, edges = ["input"], set[tuple[int, int]]()
    for chain in chains or [[]]:
        edges.update(pairwise([0, *range(len(labels), len(labels) + len(chain)), end]))
        labels += chain
    return Graph((*labels, "output"), tuple(sorted(edges)))
