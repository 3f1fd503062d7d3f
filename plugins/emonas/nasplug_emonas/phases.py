"""Phases of the macro space as graphs: repair of connection bits, and one form for all that build the same network.

A phase has nodes 1 to n between its input, 0, and its output. Sources: Xie and Yuille, "Genetic CNN", ICCV 2017, for
the connection bits; Lu et al., "NSGA-Net", GECCO 2019, and its code for the residual bit and the repairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Phase:
    """A repaired phase.

    Attributes:
        inputs: Nodes that each node reads, for nodes from 1 on, ascending; 0 is the input of the phase.
        outputs: Nodes that the output of the phase reads, ascending; 0 among them is the residual connection.
    """

    inputs: tuple[tuple[int, ...], ...]
    outputs: tuple[int, ...]

    @property
    def edges(self) -> Iterator[tuple[int, int]]:
        """Pairs (source, target), the output being the last node plus 1."""
        for node, sources in enumerate(self.inputs, start=1):
            for source in sources:
                yield source, node
        for source in self.outputs:
            yield source, len(self.inputs) + 1


def bits(nodes: int) -> int:
    """Bits of a phase: one per pair of nodes, and the residual bit."""
    return nodes * (nodes - 1) // 2 + 1


def pairs(nodes: int) -> list[tuple[int, int]]:
    """The connections of a phase (source, target), in the order of its bits."""
    return [(source, target) for target in range(2, nodes + 1) for source in range(1, target)]


@lru_cache(maxsize=1 << 16)
def repair(connections: tuple[int, ...], nodes: int) -> Phase | None:
    """Makes a network of connection bits.

    A node that is read and reads nothing gets the input of the phase, one that reads and is not read feeds its output,
    and one that does neither is left out. Of all phases that differ only in the order of their nodes one is given back,
    the one whose nodes, each named by what it reads, come first in the alphabet.

    Args:
        connections: The bits of a phase, in the order of `pairs` and the residual bit last.
        nodes: Number of nodes.

    Returns:
        The phase, or None if there is no connection; the residual bit alone makes no phase.
    """
    reads: dict[int, set[int]] = {}
    read: set[int] = set()
    for (source, target), bit in zip(pairs(nodes), connections, strict=False):
        if bit:
            reads.setdefault(source, set())
            reads.setdefault(target, set()).add(source)
            read.add(source)
    if not reads:
        return None
    whole = {node: frozenset(sources or {0}) for node, sources in reads.items()}
    last = frozenset(node for node in reads if node not in read)
    best = min(_orders(whole, last, {0: 0}))
    outputs = (0, *best[1]) if connections[-1] else best[1]
    return Phase(best[0], outputs)


Order = tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]


def _orders(reads: dict[int, frozenset[int]], last: frozenset[int], names: dict[int, int]) -> Iterator[Order]:
    """All ways to number the nodes that take, at every position, a node whose inputs have the smallest names."""
    ready = {
        node: tuple(sorted(names[source] for source in sources))
        for node, sources in reads.items()
        if node not in names and sources <= names.keys()
    }
    if not ready:
        order = sorted((name, node) for node, name in names.items() if node)
        listed = tuple(tuple(sorted(names[source] for source in reads[node])) for _, node in order)
        yield listed, tuple(sorted(names[node] for node in last))
        return
    smallest = min(ready.values())
    for node, sources in ready.items():
        if sources == smallest:
            yield from _orders(reads, last, {**names, node: len(names)})


def active(connections: Sequence[Sequence[int]], nodes: Sequence[int]) -> list[Phase]:
    """The phases that are built, those without a connection left out."""
    found = [repair(tuple(part), count) for part, count in zip(connections, nodes, strict=True)]
    return [phase for phase in found if phase is not None]
