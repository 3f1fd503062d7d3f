"""Graphs out of the latent space: how many are valid, and how many of those differ."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from nasplug.contract.errors import SpaceError, SpecError
from nasplug.contract.protocols import ReadsGraph
from nasplug.ledger.rng import derived_seed
from nasplug.spaces.graph import Graph
from nasplug_infonas.embedder import Embedder
from nasplug_infonas.encoding import OUTPUT, PADDING, EncodedGraphs

#: Takes a graph; returns a name that equal networks share, or None if the graph is not a network of the space.
Accept = Callable[[Graph], str | None]


def generate(embedder: Embedder, count: int = 10_000, *, padding: bool = False, seed: int = 0) -> list[Graph]:
    """Decodes codes sampled from N(mean, std^2) of the training codes, each row and dimension by itself.

    Every row takes its strongest operation, every pair above one half is an edge.

    Args:
        embedder: Trained encoder; codes are sampled from its statistics.
        count: Number of networks.
        padding: Whether graphs end at their first `output`, so that small ones can be sampled; the published protocol
            reads all rows as nodes.
        seed: Seed of the draws.

    Raises:
        SpecError: The encoder's file has no statistics.
    """
    if embedder.statistics is None:
        raise SpecError("this encoder was kept without statistics of its codes", where="generate")
    mean, std = embedder.statistics
    random = torch.Generator().manual_seed(derived_seed(seed, "infonas.generate"))
    encoding = embedder.encoding
    with torch.inference_mode():
        samples = torch.randn((count, *mean.shape), generator=random) * std + mean
        found = embedder.vae.eval().decode(samples)
        operations = found.operations.argmax(2).to(torch.int8).numpy()
        adjacency = (found.adjacency > 0).triu(1).to(torch.uint8).numpy()
    if padding and OUTPUT in encoding.labels:
        ends = operations == encoding.labels.index(OUTPUT)
        after = np.cumsum(ends, axis=1) - ends > 0
        operations = np.where(after, np.int8(PADDING), operations)
    return list(encoding.decode(EncodedGraphs(operations, adjacency)))


def quality(embedder: Embedder, accept: Accept, count: int = 10_000, *, seed: int = 0) -> dict[str, float]:
    """Validity and uniqueness of sampled graphs, in the published protocol and with small graphs allowed.

    Args:
        embedder: Trained.
        accept: Says which graphs are networks, see `acceptor`.
        count: Number of graphs to draw.
        seed: Seed of the draws.

    Returns:
        `validity`: share of graphs that are networks; `uniqueness`: share of distinct graphs among those, as they were
        sampled, up to the numbering of nodes, which is the published figure; `distinct_networks`: share of distinct
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
    """Says which graphs are networks of a space.

    Args:
        space: A space with the capability `ReadsGraph`, such as those of NAS-Bench-101 and NAS-Bench-201.

    Raises:
        SpecError: The space lacks it.
    """
    if not isinstance(space, ReadsGraph):
        raise SpecError(
            f"nothing says which graphs are networks of the space {getattr(space, 'name', None)!r}",
            where="acceptor",
            fix="give the space a method from_graph(graph) -> Architecture, or write the function yourself",
        )

    def accept(graph: Graph) -> str | None:
        try:
            return str(space.from_graph(graph).key)
        except SpaceError:
            return None

    return accept
