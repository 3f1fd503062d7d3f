"""Graphs as padded arrays: a vocabulary of operations and a number of rows, fixed for a whole space."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import SpaceError, did_you_mean
from nasplug.contract.protocols import Enumerates, HasGraph, HasVector
from nasplug.contract.records import Architecture
from nasplug.contract.wording import plural
from nasplug.ledger.rng import stream
from nasplug.spaces.graph import Graph

#: Row of a graph that has fewer nodes than the encoding has rows.
PADDING = -1
INPUT, OUTPUT = "input", "output"


@dataclass(frozen=True, slots=True, eq=False)
class EncodedGraphs:
    """Graphs of one encoding, held in memory as small integers.

    Attributes:
        operations: int8 (N, V), the position of each node's label in the vocabulary, or `PADDING`.
        adjacency: uint8 (N, V, V), strictly upper triangular: 1 at (source, target).
    """

    operations: NDArray[np.int8]
    adjacency: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.operations)

    @property
    def digest(self) -> str:
        """Name of the graphs: equal for equal ones in the same order."""
        digest = hashlib.blake2b(self.operations.tobytes(), digest_size=12)
        digest.update(self.adjacency.tobytes())
        return digest.hexdigest()

    def __getitem__(self, rows: Any) -> EncodedGraphs:
        """The graphs at these positions (a slice, or an integer or boolean array)."""
        return EncodedGraphs(self.operations[rows], self.adjacency[rows])

    @property
    def real(self) -> NDArray[np.bool_]:
        """Whether a row is a node, not padding: bool (N, V)."""
        found: NDArray[np.bool_] = self.operations != PADDING
        return found


@dataclass(frozen=True, slots=True)
class Encoding:
    """How graphs of a space become arrays.

    The first nodes take the first rows in the graph's own order; the remaining rows are padding, without an operation
    and without edges. The order of labels fixes the columns of the one-hot form.

    Attributes:
        labels: Vocabulary of operations.
        nodes: Number of rows V, the size of the largest graph.
    """

    labels: tuple[str, ...]
    nodes: int

    def __post_init__(self) -> None:
        if len(set(self.labels)) != len(self.labels) or not 0 < len(self.labels) < 128:
            raise SpaceError(f"a vocabulary has 1 to 127 distinct labels, not {self.labels}", where="Encoding")
        if self.nodes < 1:
            raise SpaceError(f"a graph has at least 1 node, not {self.nodes}", where="Encoding")

    @classmethod
    def of_space(cls, space: Any, *, samples: int = 2000) -> Self:
        """The encoding of a space: the published one where there is one, otherwise found by looking at graphs.

        A finite space of at most `samples` genotypes is walked through. Of others, `samples` architectures are drawn
        from the prior (from a stream of their own, always the same one), and in spaces of named choices every option
        is tried once, so that rare operations are not missed.

        Args:
            space: A space with the capability `HasGraph`.
            samples: Number of architectures to look at.

        Raises:
            SpaceError: The space has no graphs.
        """
        published = PUBLISHED.get(str(getattr(space, "name", "")))
        if published is not None:
            return cls(published.labels, published.nodes)
        require_graphs(space)
        return cls.of_graphs(space.graph(architecture) for architecture in representatives(space, samples))

    @classmethod
    def of_graphs(cls, graphs: Iterable[Graph]) -> Self:
        """The smallest encoding of these graphs: `input`, the operations by name, `output`.

        Raises:
            SpaceError: There are no graphs.
        """
        labels: set[str] = set()
        nodes = 0
        for graph in graphs:
            labels.update(graph.labels)
            nodes = max(nodes, len(graph.labels))
        if not nodes:
            raise SpaceError("there are no graphs to find an encoding from", where="Encoding")
        inner = sorted(labels - {INPUT, OUTPUT})
        return cls((*([INPUT] if INPUT in labels else []), *inner, *([OUTPUT] if OUTPUT in labels else [])), nodes)

    def encode(self, graphs: Iterable[Graph]) -> EncodedGraphs:
        """Encodes graphs.

        Raises:
            SpaceError: A graph is too large, or has a label that is not in the vocabulary.
        """
        index = {label: position for position, label in enumerate(self.labels)}
        rows: list[list[int]] = []
        positions: list[int] = []
        size = self.nodes * self.nodes
        for graph in graphs:
            count = len(graph.labels)
            if count > self.nodes:
                raise SpaceError(
                    f"a graph has {plural(count, 'node')}, but the encoding has {plural(self.nodes, 'row')}",
                    where="Encoding",
                    fix="make the encoding with more nodes: Encoding(labels, nodes)",
                )
            try:
                row = [index[label] for label in graph.labels]
            except KeyError as missing:
                raise SpaceError(
                    f"the encoding has no operation {missing.args[0]!r}",
                    where="Encoding",
                    fix=did_you_mean(str(missing.args[0]), self.labels),
                ) from None
            start = len(rows) * size
            positions.extend([start + source * self.nodes + target for source, target in graph.edges])
            rows.append(row + [PADDING] * (self.nodes - count))
        operations = np.array(rows, dtype=np.int8).reshape(len(rows), self.nodes)
        adjacency = np.zeros(len(rows) * size, dtype=np.uint8)
        adjacency[positions] = 1
        return EncodedGraphs(operations, adjacency.reshape(len(rows), self.nodes, self.nodes))

    def encode_space(self, space: Any, architectures: Iterable[Architecture]) -> EncodedGraphs:
        """Encodes architectures of a space with graphs.

        Raises:
            SpaceError: As `encode`, or the space has no graphs.
        """
        require_graphs(space)
        return self.encode(space.graph(architecture) for architecture in architectures)

    def decode(self, encoded: EncodedGraphs) -> Iterator[Graph]:
        """The inverse of `encode`. Padding ends a graph."""
        for row, adjacency in zip(encoded.operations, encoded.adjacency, strict=True):
            padded = np.flatnonzero(row == PADDING)
            count = int(padded[0]) if len(padded) else len(row)
            sources, targets = np.nonzero(np.triu(adjacency[:count, :count], 1))
            edges = tuple(zip(sources.tolist(), targets.tolist(), strict=True))
            yield Graph(tuple(self.labels[position] for position in row[:count].tolist()), edges)

    def to_json(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"labels": list(self.labels), "nodes": self.nodes}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        return cls(tuple(data["labels"]), int(data["nodes"]))


#: Encodings of Yan et al., "Does Unsupervised Architecture Representation Learning Help Neural Architecture Search?",
#: NeurIPS 2020: columns and rows as their models have them.
PUBLISHED: dict[str, Encoding] = {
    "nasbench101": Encoding((INPUT, "conv1x1-bn-relu", "conv3x3-bn-relu", "maxpool3x3", OUTPUT), 7),
    "nasbench201": Encoding((INPUT, "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "skip_connect", "none", OUTPUT), 8),
}


def require_graphs(space: Any) -> None:
    """Refuses spaces without graphs.

    Raises:
        SpaceError: The space lacks `HasGraph`.
    """
    if not isinstance(space, HasGraph):
        raise SpaceError(
            "its architectures have no graphs, so they cannot be embedded",
            where=f"space {getattr(space, 'name', type(space).__name__)!r}",
            fix="give the space a method graph(architecture) -> nasplug.Graph",
        )


#: Values that stand for a range.
_LEVELS = 9


def representatives(space: Any, count: int, seed: int = 0) -> list[Architecture]:
    """Distinct architectures that stand for a space: all of a small one, otherwise draws and every option once.

    Args:
        space: Any search space.
        count: Number of architectures to look at; a draw that repeats an earlier one is left out.
        seed: Seed of the draws.
    """
    if isinstance(space, Enumerates) and space.size() <= count:
        return list(islice(space, count))
    rng = stream(seed, "infonas.representatives")
    found = {}
    if isinstance(space, HasVector):
        for architecture in _every_option(space, rng):
            found[architecture.key] = architecture
    for _ in range(count):
        architecture = space.sample(rng)
        found.setdefault(architecture.key, architecture)
    return list(found.values())


def _every_option(space: Any, rng: np.random.Generator) -> Iterator[Architecture]:
    choices: Sequence[Any] = space.choices
    for index, choice in enumerate(choices):
        for entry in _entries(choice):
            indices = [
                int(rng.integers(len(other.options)))
                if isinstance(other.options, tuple)
                else other.gene(other.domain.sample(rng))
                for other in choices
            ]
            indices[index] = entry
            yield space.from_vector(indices)


def _entries(choice: Any) -> Sequence[float]:
    """Entries of the vector that stand for a choice: all options, or values that span a range."""
    if isinstance(choice.options, tuple):
        return range(len(choice.options))
    return [choice.gene(value) for value in choice.domain.grid(_LEVELS)]
