"""One network of all cells of NAS-Bench-201: every edge is a weighted sum of its operations.

Source: Liu, Simonyan and Yang, "DARTS", ICLR 2019; on these cells: Dong and Yang, "NAS-Bench-201", ICLR 2020 (arXiv
2001.00326), section 4, where it ends at cells of skip connections.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

#: Standard deviation of the first logits, as in DARTS.
SPREAD = 1e-3
#: Nodes of a cell.
NODES = 4


class RelaxedNetwork(nn.Module):
    """The benchmark's network with all operations on every edge: images (N, C, H, W) -> logits (N, outputs).

    An edge computes sum_o softmax(a)_o o(x), with one vector of logits per edge that all cells share; `none` is zero.

    Args:
        built: Network of the cell that has one operation on all edges, by name of the operation.
        edges: Nodes that each edge leads from and to.

    Attributes:
        operations: Names of the operations, in the order of the logits.
        logits: Logits (6, 5) of the operations on every edge.
    """

    def __init__(self, built: Mapping[str, nn.Module], edges: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.operations = tuple(built)
        self.logits = nn.Parameter(SPREAD * torch.randn(len(edges), len(built)))
        networks: dict[str, Any] = dict(built)
        self.network: Any = networks[self.operations[0]]
        for at, part in enumerate(self.network.features):
            if hasattr(part, "operations"):
                there = {name: network.features[at].operations for name, network in networks.items()}
                self.network.features[at] = RelaxedCell(there, edges)

    def forward(self, x: Tensor) -> Tensor:
        """Classifies a batch of images of any size."""
        weights = self.logits.softmax(1)
        for part in self.network.features:
            x = part(x, weights) if isinstance(part, RelaxedCell) else part(x)
        logits: Tensor = self.network.classifier(x.mean(dim=(2, 3)))
        return logits

    def favoured(self) -> tuple[str, ...]:
        """Returns the operation of the largest logit on every edge."""
        return tuple(self.operations[int(best)] for best in self.logits.argmax(1))


class RelaxedCell(nn.Module):
    """A cell with all operations on every edge: (N, C, H, W) and weights (6, 5) -> (N, C, H, W).

    Args:
        candidates: Modules of a cell by edge, for each operation; an operation without a module is zero.
        edges: Nodes that each edge leads from and to.
    """

    def __init__(self, candidates: Mapping[str, nn.ModuleDict], edges: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.places = {edge: at for at, edge in enumerate(edges)}
        self.order = {operation: at for at, operation in enumerate(candidates)}
        self.edges = nn.ModuleDict()
        for x, y in edges:
            name = f"{x}->{y}"
            self.edges[name] = nn.ModuleDict(
                {operation: parts[name] for operation, parts in candidates.items() if name in parts}
            )

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """Computes the last node."""
        nodes = [x]
        for node in range(1, NODES):
            total = torch.zeros_like(x)
            for source in range(node):
                shares = weights[self.places[source, node]]
                here: Any = self.edges[f"{source}->{node}"]
                for operation, part in here.items():
                    total = total + shares[self.order[operation]] * part(nodes[source])
            nodes.append(total)
        return nodes[-1]
