"""The variational graph autoencoder of arch2vec, as a plain torch module."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from nasplug.contract.errors import SpecError

OperationHead = Literal["sigmoid", "softmax"]


@dataclass(frozen=True, slots=True)
class VAESettings:
    """Sizes of the autoencoder; the defaults are those of Yan et al. (2020), in the form their code runs them.

    Attributes:
        hidden: Width of the graph layers.
        latent: Size of the code of one node.
        layers: Graph layers. The published setting speaks of five hops, of which the code computes four.
        dropout: Share of the code that the decoder does not see while training.
        head: Reading of the scores of operations: `sigmoid` for each operation by itself, as the code does, or
            `softmax` over the operations, as the paper writes.
    """

    hidden: int = 128
    latent: int = 16
    layers: int = 4
    dropout: float = 0.3
    head: OperationHead = "sigmoid"

    def __post_init__(self) -> None:
        if min(self.hidden, self.latent, self.layers) < 1 or not 0.0 <= self.dropout < 1.0:
            raise SpecError(f"these sizes make no autoencoder: {asdict(self)}", where="VAESettings")
        if self.head not in ("sigmoid", "softmax"):
            raise SpecError(f"there is no head {self.head!r}", where="VAESettings", fix="write sigmoid or softmax")


class Codes(NamedTuple):
    """What the encoder says of graphs.

    Attributes:
        mean: Float (B, V, D), the code of every node.
        log_std: Float (B, V, D), logarithm of the standard deviation of the code. The published code calls this head
            the logarithm of the variance and uses it as that of the standard deviation.
    """

    mean: Tensor
    log_std: Tensor


class Reconstruction(NamedTuple):
    """What the decoder says of graphs.

    Attributes:
        operations: Float (B, V, L), logits of the operations.
        adjacency: Float (B, V, V), logits of the edges, symmetric.
    """

    operations: Tensor
    adjacency: Tensor


class GINLayer(nn.Module):
    """A graph isomorphism layer (Xu et al., arXiv 1810.00826, equation 4.1) with batch normalisation.

    h <- ReLU(BN(MLP((1 + eps) h + A h))), the MLP being Linear, BN, ReLU, Linear, and eps learnt. Padded rows take part
    in the batch statistics like nodes without edges, as in the published code.

    Args:
        inputs: Width of h before.
        outputs: Width of h after.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.epsilon = nn.Parameter(torch.zeros(()))
        self.mlp = nn.Sequential(
            nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(inplace=True), nn.Linear(outputs, outputs)
        )
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, nodes: Tensor, adjacency: Tensor, identity: Tensor) -> Tensor:
        """Applies the layer.

        Args:
            nodes: Float (B, V, inputs).
            adjacency: Float (B, V, V), symmetric.
            identity: Float (V, V), the unit matrix.

        Returns:
            Float (B, V, outputs).
        """
        # (1 + eps) joins the small matrix: passes over the wide one are what a step on a CPU is made of.
        total = torch.bmm(adjacency + (1.0 + self.epsilon) * identity, nodes)
        found = torch.relu_(self.norm(self.mlp(total.flatten(0, 1))))
        return found.view(*nodes.shape[:2], -1)


class GraphVAE(nn.Module):
    """Encodes graphs of one `Encoding` into codes per node, and decodes codes.

    Source: Yan et al., "Does Unsupervised Architecture Representation Learning Help Neural Architecture Search?",
    NeurIPS 2020, section 3, with the layer and the widths of the released code.

    Args:
        labels: Size L of the vocabulary.
        nodes: Rows V of a graph.
        settings: Sizes.
    """

    one_hot: Tensor
    identity: Tensor

    def __init__(self, labels: int, nodes: int, settings: VAESettings | None = None) -> None:
        super().__init__()
        self.settings = settings or VAESettings()
        self.labels, self.nodes = labels, nodes
        hidden, latent = self.settings.hidden, self.settings.latent
        widths = [labels, *[hidden] * self.settings.layers]
        self.layers = nn.ModuleList([GINLayer(a, b) for a, b in pairwise(widths)])
        self.codes = nn.Linear(hidden, 2 * latent)
        self.operations = nn.Linear(latent, labels)
        # Row -1, which padding points at, is all zero.
        table = torch.cat([torch.eye(labels), torch.zeros(1, labels)])
        self.register_buffer("one_hot", table, persistent=False)
        self.register_buffer("identity", torch.eye(nodes), persistent=False)

    def encode(self, operations: Tensor, adjacency: Tensor) -> Codes:
        """Encodes graphs.

        Args:
            operations: Integers (B, V), positions in the vocabulary, -1 for padding.
            adjacency: Any type (B, V, V), strictly upper triangular; edges are followed both ways.
        """
        directed = adjacency.to(self.one_hot.dtype)
        undirected = directed + directed.transpose(1, 2)
        hidden = self.one_hot[operations.long()]
        for layer in self.layers:
            hidden = layer(hidden, undirected, self.identity)
        mean, log_std = self.codes(hidden).chunk(2, dim=2)
        return Codes(mean, log_std)

    def decode(self, codes: Tensor) -> Reconstruction:
        """Decodes codes (B, V, D): an edge is as likely as the codes of its ends are aligned."""
        seen = dropout(codes, self.settings.dropout, self.training)
        return Reconstruction(self.operations(seen), torch.bmm(seen, seen.transpose(1, 2)))

    def draw(self, codes: Codes) -> Tensor:
        """Codes (B, V, D): sampled around the mean while training, the mean itself otherwise."""
        if not self.training:
            return codes.mean
        return torch.addcmul(codes.mean, torch.randn_like(codes.mean), codes.log_std.exp())

    def forward(self, operations: Tensor, adjacency: Tensor) -> tuple[Codes, Tensor, Reconstruction]:
        """Encodes, draws and decodes; arguments as for `encode`.

        Returns:
            The codes, the sampled codes (B, V, D), and their reconstruction.
        """
        codes = self.encode(operations, adjacency)
        samples = self.draw(codes)
        return codes, samples, self.decode(samples)

    def to_json(self) -> dict[str, Any]:
        """The settings as plain data."""
        return asdict(self.settings)
