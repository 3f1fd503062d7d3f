"""Graphs out of the latent space: how many are valid, and how many of those differ."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from nasplug.contract.errors import SpaceError, SpecError
from nasplug.ledger.rng import derived_seed
from nasplug.spaces.graph import Graph
from nasplug_infonas.embedder import Embedder
from nasplug_infonas.encoding import INPUT, OUTPUT, PADDING, EncodedGraphs

#: Takes a graph; returns a name that equal networks share, or None if the graph is no network of the space.
Accept = Callable[[Graph], str | None]


def generate(embedder: Embedder, count: int = 10_000, *, padding: bool = False, seed: int = 0) -> list[Graph]:
    """Decodes codes drawn from N(mean, std^2) of the training codes, each row and dimension by itself.

    Every row takes its strongest operation, every pair above one half is an edge.

    Args:
        embedder: Trained; its statistics are drawn from.
        count: How many.
        padding: Whether graphs end at their first `output`, so that small ones can be drawn; the published protocol
            reads all rows as nodes.
        seed: Of the draws.

    Raises:
        SpecError: The encoder's file has no statistics.
    """
    if embedder.statistics is None:
        raise SpecError("this encoder was kept without statistics of its codes", where="generate")
    mean, std = embedder.statistics
    random = torch.Generator().manual_seed(derived_seed(seed, "infonas.generate"))
    encoding = embedder.encoding
    with torch.inference_mode():
        drawn = torch.randn((count, *mean.shape), generator=random) * std + mean
        found = embedder.vae.eval().decode(drawn)
        operations = found.operations.argmax(2).to(torch.int8).numpy()
        adjacency = (found.adjacency > 0).triu(1).to(torch.uint8).numpy()
    if padding and OUTPUT in encoding.labels:
        ends = operations == encoding.labels.index(OUTPUT)
        after = np.cumsum(ends, axis=1) - ends > 0
        operations = np.where(after, np.int8(PADDING), operations)
    return list(encoding.decode(EncodedGraphs(operations, adjacency)))


def quality(embedder: Embedder, accept: Accept, count: int = 10_000, *, seed: int = 0) -> dict[str, float]:
    """Validity and uniqueness of drawn graphs, in the published protocol and with small graphs allowed.

    Args:
        embedder: Trained.
        accept: Says which graphs are networks, see :func:`acceptor`.
        count: How many graphs to draw.
        seed: Of the draws.

    Returns:
        `validity`: share of graphs that are networks; `uniqueness`: share of distinct graphs among those, as they were
        drawn, up to the numbering of nodes, which is the published figure; `distinct_networks`: share of distinct
        networks, after the space has pruned what leads nowhere; and the same names with `_with_padding`. Shares of
        nothing are 0.
    """
    shares = {}
    for suffix, padding in (("", False), ("_with_padding", True)):
        graphs = generate(embedder, count, padding=padding, seed=seed)
        valid = [(graph_hash(graph), key) for graph in graphs if (key := accept(graph)) is not None]
        shares[f"validity{suffix}"] = len(valid) / count
        shares[f"uniqueness{suffix}"] = len({name for name, _ in valid}) / max(1, len(valid))
        shares[f"distinct_networks{suffix}"] = len({key for _, key in valid}) / max(1, len(valid))
    return shares


def graph_hash(graph: Graph) -> str:
    """Names a graph up to the numbering of its nodes.

    Every node is described by its label and, as often as there are nodes, by the descriptions of its predecessors and
    successors, like the module hash of NAS-Bench-101 (Ying et al., ICML 2019).
    """
    count = len(graph.labels)
    before: list[list[int]] = [[] for _ in range(count)]
    after: list[list[int]] = [[] for _ in range(count)]
    for source, target in graph.edges:
        before[target].append(source)
        after[source].append(target)
    names = [_digest(f"{label} {len(before[i])} {len(after[i])}") for i, label in enumerate(graph.labels)]
    for _ in range(count):
        names = [
            _digest("|".join([",".join(sorted(names[j] for j in side[i])) for side in (before, after)] + [names[i]]))
            for i in range(count)
        ]
    return _digest(",".join(sorted(names)))


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def acceptor(space: Any) -> Accept:
    """Says which graphs are networks of a space: of NAS-Bench-101, NAS-Bench-201, or any space that parses graphs.

    Args:
        space: One of the two, or one with `from_graph(graph) -> Architecture`, which raises SpaceError.

    Raises:
        SpecError: It is none of these.
    """
    if hasattr(space, "from_graph"):
        return _accepting(space.from_graph)
    name = getattr(space, "name", None)
    if name == "nasbench101":
        return _accepting(lambda graph: _cell(space, graph))
    if name == "nasbench201":
        skeleton = space.graph(next(iter(space))).edges
        return _accepting(lambda graph: _edge_cell(space, graph, set(skeleton)))
    raise SpecError(
        f"nothing says which graphs are networks of the space {name!r}",
        where="acceptor",
        fix="give the space a method from_graph(graph) -> Architecture, or write the function yourself",
    )


def _accepting(parse: Callable[[Graph], Any]) -> Accept:
    def accept(graph: Graph) -> str | None:
        try:
            return str(parse(graph).key)
        except SpaceError:
            return None

    return accept


def _cell(space: Any, graph: Graph) -> Any:
    labels = graph.labels
    if len(labels) < 2 or labels[0] != INPUT or labels[-1] != OUTPUT or {INPUT, OUTPUT} & set(labels[1:-1]):
        raise SpaceError("a cell runs from its input to its output", where="nasbench101")
    matrix = np.zeros((len(labels), len(labels)), dtype=np.uint8)
    for source, target in graph.edges:
        matrix[source, target] = 1
    return space.cell(matrix, list(labels))


def _edge_cell(space: Any, graph: Graph, skeleton: set[tuple[int, int]]) -> Any:
    if set(graph.edges) != skeleton:
        raise SpaceError("the edges are not those of the cell", where="nasbench201")
    return space.architecture(graph.labels[1:-1])
