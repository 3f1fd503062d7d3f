"""Cells as NASNet and DARTS have them: names of operations, where cells stand in a network, and their graph.

Sources: Zoph et al., "Learning Transferable Architectures for Scalable Image Recognition", CVPR 2018; Liu, Simonyan and
Yang, "DARTS: Differentiable Architecture Search", ICLR 2019.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nasplug.spaces.graph import Graph

#: Kinds of cells: those that keep the size of the image, and those that halve it.
CELLS = ("normal", "reduction")
#: Operations of DARTS. `none`, the eighth, is a candidate of supernets and never part of a network.
OPERATIONS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
#: Number of inputs of a cell: the outputs of the last cell but one, and of the last.
INPUTS = 2


@dataclass(frozen=True, slots=True)
class Frame:
    """Position of a cell in the network.

    Attributes:
        before_last: Number of channels of the last cell but one.
        last: Number of channels of the last cell.
        channels: Number of channels of every operation.
        reduction: Whether the cell halves the image.
        after_reduction: Whether the last cell halved it, so that the output of the last but one is larger.
    """

    before_last: int
    last: int
    channels: int
    reduction: bool
    after_reduction: bool

    @property
    def cell(self) -> str:
        """Kind of the cell, `normal` or `reduction`."""
        return CELLS[self.reduction]


def frames(channels: int, layers: int, ends: tuple[int, int], increment: int | None = None) -> list[Frame]:
    """Returns the positions of all cells, in their order; those at one and two thirds of the depth are reductions.

    Args:
        channels: Number of channels of the operations in the first cell; the stem has three times as many.
        layers: Number of cells.
        ends: Number of nodes that the output of a normal and of a reduction cell concatenates.
        increment: Number of channels added after every cell; None doubles them at the reductions.
    """
    found: list[Frame] = []
    before_last = last = 3 * channels
    reduced = False
    for layer in range(layers):
        reduces = layer in (layers // 3, 2 * layers // 3)
        if reduces and increment is None:
            channels *= 2
        found.append(Frame(before_last, last, channels, reduces, reduced))
        before_last, last, reduced = last, channels * ends[reduces], reduces
        channels += increment or 0
    return found


def cells_graph(cells: Iterable[tuple[Sequence[Sequence[tuple[int, str]]], Sequence[int]]]) -> Graph:
    """Returns cells in a row, with `cell_input` (last cell but one, last cell), operations, `add` and `concat`.

    Args:
        cells: Operations (source, label) that each node of each cell adds up, and the nodes that its output
            concatenates; 0 and 1 are the inputs of the cell, 2 its first node, and so on.
    """
    labels, edges, before = ["input"], [], 0
    for nodes, ends in cells:
        names = [len(labels), len(labels) + 1]
        labels += ["cell_input_before_last", "cell_input_last"]
        edges += [(before, name) for name in names]
        for terms in nodes:
            add = len(labels) + len(terms)
            for source, label in terms:
                edges += [(names[source], len(labels)), (len(labels), add)]
                labels.append(label)
            names.append(add)
            labels.append("add")
        before = len(labels)
        edges += [(names[end], before) for end in ends]
        labels.append("concat")
    edges.append((before, len(labels)))
    return Graph((*labels, "output"), tuple(edges)).without(())  # an input that nothing reads goes
