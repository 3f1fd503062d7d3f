"""The supernet of the cell space.

Sources: Liu, Simonyan and Yang, "DARTS", ICLR 2019; Xu et al., "PC-DARTS", ICLR 2020 (weights of edges).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from nasplug.contract.errors import SpecError
from nasplug.contract.records import Architecture
from nasplug_darts_lp.spaces.blocks import linear
from nasplug_darts_lp.spaces.cell.cost import CellPower
from nasplug_darts_lp.spaces.cell.mixed import OpenEdge
from nasplug_darts_lp.spaces.cell.network import Frame, Precision, frames, make_stem, precision_of, prepare
from nasplug_darts_lp.spaces.cell.space import CELLS, INPUTS, Edge, has_convolution, node_inputs
from nasplug_darts_lp.supernet.base import Supernet, SupernetOptions, most_probable
from nasplug_darts_lp.supernet.logits import Weights, chance

if TYPE_CHECKING:
    from nasplug_darts_lp.spaces.cell.space import CellSpace

#: What is open about an edge.
PARTS = ("op", "weight_bits", "activation_bits")
#: Candidates of an edge that go into the ranking; a node has hundreds of combinations of them.
_TOP = 6


class OpenCell(nn.Module):
    """A cell with all edges between its nodes: as `Cell`.

    Args:
        space, options: Of the supernet.
        candidates: Of every edge.
        frame: Its place.
        precision: Of what is no choice.
    """

    def __init__(
        self, space: CellSpace, options: SupernetOptions, candidates: Sequence[str], frame: Frame, precision: Precision
    ) -> None:
        super().__init__()
        self.name, self.partial = CELLS[frame.reduction], options.partial
        self.prepare = prepare(frame.before_last, frame.last, frame.channels, frame.after_reduction, precision)
        self.edges = nn.ModuleDict(
            {
                f"{source}-{node}": OpenEdge(
                    space,
                    options,
                    candidates,
                    frame.channels,
                    2 if frame.reduction and source < INPUTS else 1,
                    precision,
                )
                for node in range(INPUTS, space.nodes + INPUTS)
                for source in range(node)
            }
        )
        self.last_node = space.nodes + INPUTS

    def forward(self, before_last: Tensor, last: Tensor, weights: Weights) -> Tensor:
        """Computes the nodes in their order."""
        values = [prepare(x) for prepare, x in zip(self.prepare, (before_last, last), strict=True)]
        for node in range(INPUTS, self.last_node):
            terms = []
            for source in range(node):
                names = [edge_name(self.name, source, node, part) for part in PARTS]
                drawn, chances = [weights[name] for name in names], [chance(weights, name) for name in names]
                terms.append(self.edges[f"{source}-{node}"](values[source], drawn, chances))
            if self.partial > 1:
                shares = weights[edges_name(self.name, node)]
                terms = [term * share for term, share in zip(terms, shares, strict=True)]
            values.append(torch.stack(terms).sum(0))
        return torch.cat(values[INPUTS:], dim=1)


class CellSupernet(Supernet):
    """All networks of a cell space in one; see `Supernet`.

    Cells of one kind share their logits. With partial channels, the edges into a node have weights of their own, always
    by softmax; otherwise all edges count alike.

    Args:
        space: Whose networks it holds.
        input_shape: (C, H, W).
        outputs: Number of classes.
        options: See `SupernetOptions`.
        candidates: Of every edge, instead of `none` and the operations of the space; for experiments.

    Raises:
        SpecError: The channels cannot be divided into the parts asked for.
    """

    def __init__(
        self,
        space: CellSpace,
        input_shape: Sequence[int],
        outputs: int,
        options: SupernetOptions,
        candidates: Sequence[str] | None = None,
    ) -> None:
        if options.partial < 1 or space.channels % options.partial:
            raise SpecError(
                f"{space.channels} channels cannot be divided by partial={options.partial}",
                where="darts_lp.cell",
                fix="give a divisor of the channels; PC-DARTS has 4 of 16",
            )
        self.candidates = ("none", *space.operations) if candidates is None else tuple(candidates)
        sizes: dict[str, int] = {}
        edges: dict[str, int] = {}
        for cell, node in itertools.product(CELLS, range(INPUTS, space.nodes + INPUTS)):
            for source in range(node):
                sizes[edge_name(cell, source, node, "op")] = len(self.candidates)
                sizes[edge_name(cell, source, node, "weight_bits")] = max(1, len(space.weight_bits))
                sizes[edge_name(cell, source, node, "activation_bits")] = max(1, len(space.activation_bits))
            edges[edges_name(cell, node)] = node
        partial = options.partial > 1
        super().__init__(space, sizes | (edges if partial else {}), options, plain=edges)
        self.cell_space, self._edges = space, edges
        precision = precision_of(space)
        self.stem = make_stem(space, input_shape)
        places = frames(space)
        self.cells = nn.ModuleList(OpenCell(space, options, self.candidates, frame, precision) for frame in places)
        self.classifier = linear(
            places[-1].channels * space.nodes, outputs, space.first_last_bits, precision.quantisers
        )
        self.priced = CellPower(space, self.candidates, input_shape, outputs, options.power)

    def run(self, x: Tensor, weights: Weights) -> Tensor:
        """See the base class."""
        before_last = last = self.stem(x)
        for cell in self.cells:
            before_last, last = last, cell(before_last, last, weights)
        logits: Tensor = self.classifier(last.mean(dim=(2, 3)))
        return logits

    def power(self, weights: Weights) -> Tensor:
        """See the base class. Every node keeps two edges: each counts twice its share among the edges of the node."""
        total = self.priced.fixed
        for (cell, source, node), table in self.priced.tables():
            parts = [weights[edge_name(cell, source, node, part)] for part in PARTS]
            total = total + 2.0 * self._shares(weights, cell, node)[source] * torch.einsum("kij,k,i,j->", table, *parts)
        return total

    def weights_of(self, architecture: Architecture) -> Weights:
        """See the base class. Edges that are not part of the network get `none`."""
        space, chosen = self.cell_space, {}
        found: Weights = {}
        for name, size in self._edges.items():
            found[name] = torch.zeros(size)
        for cell in CELLS:
            for node, pair in enumerate(space.cell(architecture.genotype, cell), start=INPUTS):
                for edge in pair:
                    chosen[edge_name(cell, edge.source, node, "op")] = self.candidates.index(edge.operation)
                    if edge.weight_bits is not None and edge.activation_bits is not None:
                        place = space.weight_bits.index(edge.weight_bits)
                        chosen[edge_name(cell, edge.source, node, "weight_bits")] = place
                        place = space.activation_bits.index(edge.activation_bits)
                        chosen[edge_name(cell, edge.source, node, "activation_bits")] = place
                    found[edges_name(cell, node)][edge.source] = 0.5
        return self.logits.one_hot(chosen) | found

    def ranked(self) -> Iterator[tuple[Architecture, float]]:
        """See the base class; networks of the best few candidates of every edge, `none` left out.

        As in DARTS, a node keeps the two edges with the most probable operations.
        """
        found = self.logits.probabilities()
        nodes: list[list[tuple[Edge, Edge]]] = []
        factors: list[list[float]] = []
        for cell, node in itertools.product(CELLS, range(INPUTS, self.cell_space.nodes + INPUTS)):
            edges = [self._best_edges(found, cell, source, node) for source in range(node)]
            pairs = [
                (first, second)
                for a, b in node_inputs(node - INPUTS)
                for first, second in itertools.product(edges[a], edges[b])
            ]
            strengths = [first[1] * second[1] for first, second in pairs]
            nodes.append([(first[0], second[0]) for first, second in pairs])
            factors.append([strength / sum(strengths) for strength in strengths])
        for indices, probability in most_probable(factors):
            chosen = [pairs[index] for pairs, index in zip(nodes, indices, strict=True)]
            half = len(chosen) // 2
            cells = {CELLS[0]: chosen[:half], CELLS[1]: chosen[half:]}
            yield self.cell_space.architecture(self.cell_space.genotype(cells)), probability

    def _best_edges(self, found: Weights, cell: str, source: int, node: int) -> list[tuple[Edge, float]]:
        space = self.cell_space
        operations, weights, activations = (
            found[edge_name(cell, source, node, part)].double().tolist() for part in PARTS
        )
        # In floating point there are no widths, and each of the two lists holds a single 1.
        widths = list(
            itertools.product(
                zip(space.weight_bits, weights, strict=False), zip(space.activation_bits, activations, strict=False)
            )
        )
        strength = float(self._shares(found, cell, node)[source])
        candidates: list[tuple[Edge, float]] = []
        for name, probability in zip(self.candidates, operations, strict=True):
            if name == "none":
                continue
            if not space.weight_bits or not has_convolution(name):
                candidates.append((Edge(source, name), probability * strength))
                continue
            for (w, p), (a, q) in widths:
                candidates.append((Edge(source, name, w, a), probability * strength * p * q))
        return sorted(candidates, key=lambda candidate: -candidate[1])[:_TOP]

    def _shares(self, weights: Weights, cell: str, node: int) -> Tensor:
        """Shares (node,) of the edges into a node."""
        return weights[edges_name(cell, node)] if edges_name(cell, node) in weights else torch.full((node,), 1.0 / node)


def edge_name(cell: str, source: int, node: int, part: str) -> str:
    """Name of a choice of an edge."""
    return f"{cell}_{source}_{node}_{part}"


def edges_name(cell: str, node: int) -> str:
    """Name of the weights of the edges into a node."""
    return f"{cell}_{node}_edges"
