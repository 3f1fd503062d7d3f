"""The loss of the autoencoder, and how well it reconstructs."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, softplus
from torchmetrics import Metric

from nasplug_infonas.encoding import PADDING
from nasplug_infonas.models.vae import Codes, OperationHead, Reconstruction


class VAELoss(NamedTuple):
    """The parts of the loss, scalars."""

    operations: Tensor
    adjacency: Tensor
    divergence: Tensor

    @property
    def total(self) -> Tensor:
        """The sum of the parts."""
        return self.operations + self.adjacency + self.divergence


def vae_loss(
    codes: Codes,
    reconstruction: Reconstruction,
    operations: Tensor,
    adjacency: Tensor,
    *,
    head: OperationHead = "sigmoid",
    beta: float | None = None,
) -> VAELoss:
    """The loss of Yan et al. (2020), in the weights of the released code.

    * Operations, `sigmoid`: binary cross-entropy, mean over all B V L scores, padded rows having no operation at all.
      `softmax`: cross-entropy, mean over real rows.
    * Edges: binary cross-entropy summed over the strictly upper triangle and divided by B V^2, since the code takes
      the mean over the whole matrix.
    * Divergence from the standard normal distribution, with s the logarithm of the standard deviation:
      beta * mean over nodes of -1/2 sum_d (1 + 2 s - mean^2 - exp(2 s)). The code's beta is 1 / (B V), about 1/224
      for batches of 32: a weak pull that larger batches make weaker.

    Args:
        codes: Codes of the encoder.
        reconstruction: Reconstruction of the decoder.
        operations: Integers (B, V), -1 for padding.
        adjacency: (B, V, V), strictly upper triangular.
        head: Scoring of operations.
        beta: Weight of the divergence; None means 1 / (B V).
    """
    batch, nodes, labels = reconstruction.operations.shape
    targets = operations.long()
    if head == "softmax":
        lost = cross_entropy(reconstruction.operations.flatten(0, 1), targets.flatten(), ignore_index=PADDING)
    else:
        # With one-hot targets y: BCE = softplus(x) - x y, which needs no one-hot tensor.
        scores = reconstruction.operations
        chosen = scores.gather(2, targets.clamp(min=0).unsqueeze(2)).squeeze(2)
        chosen = chosen.masked_fill(targets == PADDING, 0.0)
        lost = (softplus(scores).sum() - chosen.sum()) / (batch * nodes * labels)
    likely = reconstruction.adjacency
    edges = (softplus(likely) - likely * adjacency.to(likely.dtype)).triu(1).sum() / (batch * nodes * nodes)
    weight = 1.0 / (batch * nodes) if beta is None else beta
    spread = 1.0 + 2.0 * codes.log_std - codes.mean.square() - (2.0 * codes.log_std).exp()
    return VAELoss(lost, edges, -0.5 * weight * spread.sum() / (batch * nodes))


class ReconstructionAccuracy(Metric):
    """How much of the graphs the decoder gives back.

    Computes a mapping of

    * `operation_accuracy`: share of real rows whose strongest operation is the right one;
    * `operation_accuracy_padded`: the share among all rows, a padded row being right only if its strongest score is
      that of the first label. This is the published figure, and its ceiling is the share of real rows: 0.977 on
      NAS-Bench-101;
    * `adjacency_accuracy`: share of the strictly upper triangle that is right at a probability of one half;
    * `true_edge`: mean probability of edges that are there; `false_edge`: of those that are not.
    """

    higher_is_better = True
    full_state_update = False
    counts: Tensor

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # Right real rows, real rows, right rows of all kinds, all rows, right pairs, pairs, and two sums of
        # probabilities with their counts.
        self.add_state("counts", torch.zeros(10, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, reconstruction: Reconstruction, operations: Tensor, adjacency: Tensor) -> None:
        """Adds a batch; arguments as for `vae_loss`."""
        found = reconstruction.operations.argmax(2)
        targets = operations.long()
        real = targets != PADDING
        right = (found == targets) & real
        nodes = targets.shape[1]
        rows, columns = torch.triu_indices(nodes, nodes, 1, device=operations.device)
        there = adjacency[:, rows, columns] > 0
        likely = reconstruction.adjacency[:, rows, columns]
        probability = likely.sigmoid()
        sums = [
            right.sum(),
            real.sum(),
            (found == targets.clamp(min=0)).sum(),
            torch.tensor(real.numel()),
            ((likely > 0) == there).sum(),
            torch.tensor(there.numel()),
            probability[there].sum(),
            there.sum(),
            probability[~there].sum(),
            (~there).sum(),
        ]
        self.counts += torch.stack([value.double().to(self.counts.device) for value in sums])

    def compute(self) -> dict[str, Tensor]:
        """The five shares; NaN where there was nothing to count."""
        shares = self.counts[0::2] / self.counts[1::2]
        names = ("operation_accuracy", "operation_accuracy_padded", "adjacency_accuracy", "true_edge", "false_edge")
        return dict(zip(names, shares, strict=True))
