"""Both directions of a graph's edges, and the graph without the nodes that do nothing."""

from __future__ import annotations

from collections.abc import Collection

from nasplug.spaces.graph import Graph


def neighbours(graph: Graph) -> tuple[list[list[int]], list[list[int]]]:
    """Predecessors and successors of every node."""
    into: list[list[int]] = [[] for _ in graph.labels]
    out_of: list[list[int]] = [[] for _ in graph.labels]
    for source, target in graph.edges:
        into[target].append(source)
        out_of[source].append(target)
    return into, out_of


def contract(graph: Graph, labels: Collection[str]) -> Graph:
    """Takes nodes out and joins their predecessors to their successors, as an identity connection does.

    Args:
        graph: Any graph.
        labels: Labels of the nodes to take out; its first and last node always stay.
    """
    keep = [node for node, label in enumerate(graph.labels) if label not in labels]
    if len(keep) == len(graph.labels):
        return graph
    ends = (0, len(graph.labels) - 1)
    keep = sorted({*keep, *ends})
    kept = set(keep)
    into, _ = neighbours(graph)
    sources: list[set[int]] = []  # kept nodes that a node's output stands for
    edges: set[tuple[int, int]] = set()
    for node in range(len(graph.labels)):
        reached = set().union(*(sources[other] for other in into[node])) if into[node] else set()
        if node in kept:
            edges |= {(other, node) for other in reached}
            reached = {node}
        sources.append(reached)
    number = {node: position for position, node in enumerate(keep)}
    return Graph(tuple(graph.labels[node] for node in keep), tuple(sorted((number[a], number[b]) for a, b in edges)))


def simplify(graph: Graph, drop: Collection[str], contracted: Collection[str]) -> Graph:
    """Cuts out operations that give nothing, then takes out those that pass their input on.

    Args:
        graph: Any graph.
        drop: Labels to cut out, with every node that no longer lies on a path from input to output.
        contracted: Labels for `contract`.
    """
    if any(label in drop for label in graph.labels[1:-1]):
        graph = graph.without(drop)
        if len(graph.labels) < 2:  # no path is left
            graph = Graph(("input", "output"), ())
    return contract(graph, contracted)
