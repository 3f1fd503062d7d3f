"""One network of all cells of NAS-Bench-201: every edge is a weighted sum of its operations.

Source: Liu, Simonyan and Yang, "DARTS", ICLR 2019; on these cells: Dong and Yang, "NAS-Bench-201", ICLR 2020 (arXiv
2001.00326), section 4, where it ends at cells of skip connections.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nasplug_tables.spaces.nasbench201.network import CellNetwork, Network, build_network
from nasplug_tables.spaces.nasbench201.space import EDGES, OPERATIONS

#: Standard deviation of the first logits, as in DARTS.
SPREAD = 1e-3


class RelaxedNetwork(nn.Module):
    """The benchmark's network with all operations on every edge: images (N, C, H, W) -> logits (N, outputs).

    An edge computes sum_o softmax(a)_o o(x), with one vector of logits per edge that all cells share; `none` is zero.

    Args:
        input_channels: Number of channels of the images.
        outputs: Number of classes.
        channels: Number of channels of the first stage.
        cells: Number of cells per stage.

    Attributes:
        logits: Logits (6, 5) of the operations on every edge.
    """

    def __init__(self, input_channels: int, outputs: int, channels: int, cells: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(SPREAD * torch.randn(len(EDGES), len(OPERATIONS)))
        built = [_of(name, input_channels, outputs, channels, cells) for name in OPERATIONS]
        self.network = built[0]
        for at, part in enumerate(self.network.features):
            if isinstance(part, CellNetwork):
                cells_there: Any = [each.features[at] for each in built]
                self.network.features[at] = RelaxedCell([cell.operations for cell in cells_there])

    def forward(self, x: Tensor) -> Tensor:
        """Classifies a batch of images of any size."""
        weights = self.logits.softmax(1)
        for part in self.network.features:
            x = part(x, weights) if isinstance(part, RelaxedCell) else part(x)
        logits: Tensor = self.network.classifier(x.mean(dim=(2, 3)))
        return logits

    def favoured(self) -> tuple[str, ...]:
        """Returns the operation of the largest logit on every edge."""
        return tuple(OPERATIONS[int(best)] for best in self.logits.argmax(1))


class RelaxedCell(nn.Module):
    """A cell with all operations on every edge: (N, C, H, W) and weights (6, 5) -> (N, C, H, W).

    Args:
        candidates: Operations of a cell by edge, for each operation of the space.
    """

    def __init__(self, candidates: list[nn.ModuleDict]) -> None:
        super().__init__()
        self.edges = nn.ModuleDict()
        for x, y in EDGES:
            name = f"{x}->{y}"
            self.edges[name] = nn.ModuleDict(
                {
                    operation: edges[name]
                    for operation, edges in zip(OPERATIONS, candidates, strict=True)
                    if name in edges
                }
            )

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """Computes the last node."""
        nodes = [x]
        for node in range(1, 4):
            total = torch.zeros_like(x)
            for source in range(node):
                shares = weights[EDGES.index((source, node))]
                here: Any = self.edges[f"{source}->{node}"]
                for operation, part in here.items():
                    total = total + shares[OPERATIONS.index(operation)] * part(nodes[source])
            nodes.append(total)
        return nodes[-1]


def _of(operation: str, input_channels: int, outputs: int, channels: int, cells: int) -> Network:
    return build_network([operation] * len(EDGES), input_channels, outputs, channels=channels, cells=cells)
