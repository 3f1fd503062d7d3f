"""The supernet of the cell space.

Sources: Liu, Simonyan and Yang, "DARTS", ICLR 2019; Xu et al., "PC-DARTS", ICLR 2020 (weights of edges).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nasplug.contract.errors import SpecError
from nasplug.contract.records import Architecture
from nasplug.contract.wording import plural
from nasplug.spaces.cells import CELLS, INPUTS, Frame
from nasplug_darts_lp.layers.build import linear
from nasplug_darts_lp.spaces.cell.cost import CellCost
from nasplug_darts_lp.spaces.cell.edges import Edge, has_convolution, node_inputs
from nasplug_darts_lp.spaces.cell.mixed_op import MixedOp
from nasplug_darts_lp.spaces.cell.operations import make_stem, prepare
from nasplug_darts_lp.spaces.cell.settings import CellSettings
from nasplug_darts_lp.supernet.base import Supernet, most_probable
from nasplug_darts_lp.supernet.logits import MixingWeights, probabilities_of
from nasplug_darts_lp.supernet.options import SupernetOptions

#: Choices of an edge.
PARTS = ("op", "weight_bits", "activation_bits")
#: Candidates of an edge that go into the ranking; a node has hundreds of combinations of them.
_TOP = 6


class MixedCell(nn.Module):
    """A cell with a mixed operation on every edge between its nodes; the counterpart of `Cell`.

    Args:
        settings: Settings of the space.
        options: Options of the supernet.
        candidates: Names of the candidates of every edge.
        frame: Position of the cell in the network.
    """

    def __init__(
        self, settings: CellSettings, options: SupernetOptions, candidates: Sequence[str], frame: Frame
    ) -> None:
        super().__init__()
        self.name, self.partial = frame.cell, options.settings.partial
        self.prepare = prepare(frame.before_last, frame.last, frame.channels, frame.after_reduction, settings.fixed)
        self.edges = nn.ModuleDict(
            {
                f"{source}-{node}": MixedOp(
                    settings,
                    options,
                    candidates,
                    frame.channels,
                    2 if frame.reduction and source < INPUTS else 1,
                )
                for node in range(INPUTS, settings.nodes + INPUTS)
                for source in range(node)
            }
        )
        self.last_node = settings.nodes + INPUTS

    def forward(self, before_last: Tensor, last: Tensor, weights: MixingWeights) -> Tensor:
        """Computes the nodes in their order."""
        values = [prepare(x) for prepare, x in zip(self.prepare, (before_last, last), strict=True)]
        for node in range(INPUTS, self.last_node):
            terms = []
            for source in range(node):
                names = [edge_name(self.name, source, node, part) for part in PARTS]
                mixing_weights = [weights[name] for name in names]
                probabilities = [probabilities_of(weights, name) for name in names]
                terms.append(self.edges[f"{source}-{node}"](values[source], mixing_weights, probabilities))
            if self.partial > 1:
                edge_weights = weights[edges_name(self.name, node)]
                terms = [term * weight for term, weight in zip(terms, edge_weights, strict=True)]
            values.append(torch.stack(terms).sum(0))
        return torch.cat(values[INPUTS:], dim=1)


class CellSupernet(Supernet):
    """All networks of a cell space in one; see `Supernet`.

    Cells of one kind share their logits. With partial channels, the edges into a node have weights of their own, always
    by softmax; otherwise all edges count alike.

    Args:
        settings: Settings of the space.
        architecture: Function that makes an architecture of a genotype.
        input_shape: Shape (C, H, W) of one image.
        outputs: Number of classes.
        options: Options of the supernet.
        candidates: Names of the candidates of every edge, instead of `none` and the operations of the space; for
            experiments.

    Raises:
        SpecError: The channels cannot be divided into the parts asked for, or the inputs are not images.
    """

    def __init__(
        self,
        settings: CellSettings,
        architecture: Callable[[Any], Architecture],
        input_shape: Sequence[int],
        outputs: int,
        options: SupernetOptions,
        candidates: Sequence[str] | None = None,
    ) -> None:
        parts = options.settings.partial
        if settings.channels % parts:
            raise SpecError(
                f"{plural(settings.channels, 'channel')} cannot be divided by partial={parts}",
                where="darts_lp.cell",
                fix="give a divisor of the channels; PC-DARTS has 4 of 16",
            )
        self.candidates = ("none", *settings.operations) if candidates is None else tuple(candidates)
        sizes: dict[str, int] = {}
        edges: dict[str, int] = {}
        for cell, node in itertools.product(CELLS, range(INPUTS, settings.nodes + INPUTS)):
            for source in range(node):
                sizes[edge_name(cell, source, node, "op")] = len(self.candidates)
                sizes[edge_name(cell, source, node, "weight_bits")] = max(1, len(settings.weight_bits))
                sizes[edge_name(cell, source, node, "activation_bits")] = max(1, len(settings.activation_bits))
            edges[edges_name(cell, node)] = node
        super().__init__(sizes | (edges if parts > 1 else {}), options, plain=edges)
        self.settings, self._architecture, self._edges = settings, architecture, edges
        self.stem = make_stem(settings, input_shape)
        frames = settings.frames()
        self.cells = nn.ModuleList(MixedCell(settings, options, self.candidates, frame) for frame in frames)
        self.classifier = linear(frames[-1].channels * settings.nodes, outputs, settings.fixed)
        self.costs = CellCost(settings, self.candidates, input_shape, outputs, options.cost)

    def run(self, x: Tensor, weights: MixingWeights) -> Tensor:
        """See the base class."""
        before_last = last = self.stem(x)
        for cell in self.cells:
            before_last, last = last, cell(before_last, last, weights)
        logits: Tensor = self.classifier(last.mean(dim=(2, 3)))
        return logits

    def cost(self, weights: MixingWeights) -> Tensor:
        """See the base class. Every node keeps two edges: each counts twice its weight among the edges of the node."""
        total = self.costs.fixed
        for (cell, source, node), table in self.costs.tables():
            parts = [weights[edge_name(cell, source, node, part)] for part in PARTS]
            edge_weight = self._edge_weights(weights, cell, node)[source]
            total = total + 2.0 * edge_weight * torch.einsum("kij,k,i,j->", table, *parts)
        return total

    def weights_of(self, architecture: Architecture) -> MixingWeights:
        """See the base class. Edges that are not part of the network get `none`."""
        settings, chosen = self.settings, {}
        edges: MixingWeights = {name: torch.zeros(size) for name, size in self._edges.items()}
        for cell in CELLS:
            for node, pair in enumerate(settings.cell(architecture.genotype, cell), start=INPUTS):
                for edge in pair:
                    chosen[edge_name(cell, edge.source, node, "op")] = self.candidates.index(edge.operation)
                    if edge.weight_bits is not None and edge.activation_bits is not None:
                        index = settings.weight_bits.index(edge.weight_bits)
                        chosen[edge_name(cell, edge.source, node, "weight_bits")] = index
                        index = settings.activation_bits.index(edge.activation_bits)
                        chosen[edge_name(cell, edge.source, node, "activation_bits")] = index
                    edges[edges_name(cell, node)][edge.source] = 0.5
        return self.logits.one_hot(chosen) | edges

    def ranked(self) -> Iterator[tuple[Architecture, float]]:
        """See the base class; networks of the best few candidates of every edge, `none` left out.

        As in DARTS, a node keeps the two edges with the most probable operations.
        """
        probabilities = self.logits.probabilities()
        nodes: list[list[tuple[Edge, Edge]]] = []
        factors: list[list[float]] = []
        for cell, node in itertools.product(CELLS, range(INPUTS, self.settings.nodes + INPUTS)):
            edges = [self._best_edges(probabilities, cell, source, node) for source in range(node)]
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
            yield self._architecture(self.settings.genotype(cells)), probability

    def _best_edges(self, probabilities: MixingWeights, cell: str, source: int, node: int) -> list[tuple[Edge, float]]:
        settings = self.settings
        operations, weights, activations = (
            probabilities[edge_name(cell, source, node, part)].double().tolist() for part in PARTS
        )
        # In floating point the widths are empty, and each of the two lists holds a single 1.
        widths = list(
            itertools.product(
                zip(settings.weight_bits, weights, strict=False),
                zip(settings.activation_bits, activations, strict=False),
            )
        )
        strength = float(self._edge_weights(probabilities, cell, node)[source])
        candidates: list[tuple[Edge, float]] = []
        for name, probability in zip(self.candidates, operations, strict=True):
            if name == "none":
                continue
            if not settings.weight_bits or not has_convolution(name):
                candidates.append((Edge(source, name), probability * strength))
                continue
            for (w, p), (a, q) in widths:
                candidates.append((Edge(source, name, w, a), probability * strength * p * q))
        return sorted(candidates, key=lambda candidate: -candidate[1])[:_TOP]

    def _edge_weights(self, weights: MixingWeights, cell: str, node: int) -> Tensor:
        """Mixing weights (node,) of the edges into a node; equal ones without partial channels."""
        return weights[edges_name(cell, node)] if edges_name(cell, node) in weights else torch.full((node,), 1.0 / node)


def edge_name(cell: str, source: int, node: int, part: str) -> str:
    """Returns the name of a choice of an edge."""
    return f"{cell}_{source}_{node}_{part}"


def edges_name(cell: str, node: int) -> str:
    """Returns the name of the weights of the edges into a node."""
    return f"{cell}_{node}_edges"
