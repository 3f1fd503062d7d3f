"""Architectures as rows of numbers, for models of any library that predict results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from nasplug.builtin.ranking import best_first, comparable
from nasplug.contract.errors import SpecError
from nasplug.contract.protocols import HasConditions, HasGraph, HasVector
from nasplug.contract.ranges import Categorical
from nasplug.contract.records import Architecture, Trial
from nasplug.ledger.view import StudyView
from nasplug.spaces.graph import Graph

if TYPE_CHECKING:
    import numpy.typing as npt

#: Operations that pass nothing on: no path runs through them.
NOTHING = ("none",)


def traits(space: Any, architecture: Architecture, paths: int = 256) -> dict[str, float]:
    """What is known of an architecture before any training, by name.

    Of a space with named decisions: every decision that is made, an option as an indicator of its own and a number of
    a range by its place between 0 and 1. Of a space with graphs: how often each sequence of operations leads from the
    input to the output, which is the path encoding of White, Neiswanger and Savani, "BANANAS", AAAI 2021; like their
    truncated encoding, the shortest paths where there are very many.

    Args:
        space: Space of the architecture.
        architecture: Architecture to describe.
        paths: Largest number of paths of a graph.

    Raises:
        SpecError: The space has neither decisions nor graphs.
    """
    found: dict[str, float] = {}
    if isinstance(space, HasVector):
        made = space.active(architecture) if isinstance(space, HasConditions) else None
        for choice, gene in zip(space.choices, space.vector(architecture), strict=True):
            if made is not None and choice.name not in made:
                continue
            if isinstance(choice.domain, Categorical):
                found[f"{choice.name}={int(gene)}"] = 1.0
            else:
                found[choice.name] = float(choice.domain.to_unit(choice.value(gene)))  # type: ignore[arg-type]
    if isinstance(space, HasGraph):
        for path, count in _paths(space.graph(architecture).without(NOTHING), paths).items():
            found[">".join(("", *path))] = float(count)
    elif not isinstance(space, HasVector):
        raise SpecError(
            f"architectures of the space {space.name!r} cannot be described by numbers",
            where="features",
            why="it has neither the capability HasVector nor HasGraph",
            fix="take a strategy that learns from no features, such as regularized_evolution",
        )
    return found


def _paths(graph: Graph, limit: int) -> Counter[tuple[str, ...]]:
    """Sequences of operations from the input to the output, the shortest first, with how often they occur."""
    last = len(graph.labels) - 1
    after: dict[int, list[int]] = {}
    for source, target in sorted(graph.edges):
        after.setdefault(source, []).append(target)
    found: Counter[tuple[str, ...]] = Counter()
    level: list[tuple[int, tuple[str, ...]]] = [(0, ())]
    while level and found.total() < limit:
        following: list[tuple[int, tuple[str, ...]]] = []
        for node, path in level:
            for target in after.get(node, ()):
                if target == last:
                    found[path] += 1
                else:
                    following.append((target, (*path, graph.labels[target])))
        level = following[: 16 * limit]  # a graph may have more paths than fit in memory
    return found


class Table:
    """Traits as a matrix: a column for each that occurs in the architectures it is made of.

    Args:
        known: Traits of architectures; what only others have is left out of every row.
    """

    def __init__(self, known: Iterable[Mapping[str, float]]) -> None:
        names = sorted({name for each in known for name in each})
        self._columns = {name: place for place, name in enumerate(names)}

    def rows(self, found: Sequence[Mapping[str, float]]) -> npt.NDArray[np.float64]:
        """Float64 (architectures, columns)."""
        matrix = np.zeros((len(found), len(self._columns)))
        for row, each in enumerate(found):
            for name, value in each.items():
                place = self._columns.get(name)
                if place is not None:
                    matrix[row, place] = value
        return matrix


def normal_scores(study: StudyView, trials: Sequence[Trial]) -> npt.NDArray[np.float64]:
    """A number for each trial, larger for better ones: the quantile of a normal distribution that its rank has.

    A few networks that failed to train, far below the rest, weigh no more than their rank. Several objectives are
    ranked by non-dominated fronts, constraints by violation; trials that cannot be compared come last.

    Args:
        study: Study of the trials.
        trials: Trials to rank, at least one.
    """
    able = [trial for trial in trials if comparable(study, trial)]
    place = {trial.number: index for index, trial in enumerate(best_first(study, able))}
    normal = NormalDist()
    return np.array(
        [normal.inv_cdf(1.0 - (place.get(trial.number, len(trials) - 1) + 0.5) / len(trials)) for trial in trials]
    )
