"""A module and data with a known truth, for examples and tests: what is needed, what is useless, what is harmful.

The class of a sample is the sign of its feature `needed`; `useless` is noise. The module has a block that the answer
goes through, one that adds nothing, and a loss term without influence.
"""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

#: Components of the example.
ENTRIES: list[Any] = [
    {"module": "net.needed"},
    {"module": "net.useless"},
    {"feature": "needed"},
    {"feature": "useless"},
    {"loss": "penalty"},
]


class Net(nn.Module):
    """Two branches that are added: one sees the sample, the other is always zero.

    Args:
        width: Number of hidden units.
    """

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.needed = nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, width))
        self.useless = nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, width))
        self.head = nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits (N, 2) of samples (N, 2)."""
        noise = torch.zeros_like(x)  # the branch is given nothing that it could learn from
        logits: Tensor = self.head(self.needed(x) + self.useless(noise))
        return logits


class Planted(pl.LightningModule):
    """Trains the network with the known truth.

    Args:
        lr: Learning rate.
        penalty: Weight of a loss term on the bias of the head.
    """

    def __init__(self, lr: float = 0.05, penalty: float = 1e-3) -> None:
        super().__init__()
        self.net, self.lr, self.penalty = Net(), lr, penalty

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits (N, 2) of samples (N, 2)."""
        logits: Tensor = self.net(x)
        return logits

    def training_step(self, batch: Any, _: int) -> Tensor:
        """Returns the loss of a batch."""
        loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
        return loss + self.penalty * self.net.head.bias.square().sum()

    def validation_step(self, batch: Any, _: int) -> None:
        """Logs the accuracy."""
        self.log("val_acc", (self.net(batch[0]).argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Returns Adam."""
        return torch.optim.Adam(self.parameters(), self.lr)


class PlantedData(pl.LightningDataModule):
    """Samples of two features, of which one decides.

    Args:
        samples: Number of training samples.
    """

    feature_names = ("needed", "useless")

    def __init__(self, samples: int = 256) -> None:
        super().__init__()
        x = torch.randn(2 * samples, 2, generator=torch.Generator().manual_seed(0))
        y = (x[:, 0] > 0).long()
        self.train_set = TensorDataset(x[:samples], y[:samples])
        self.val_set = TensorDataset(x[samples:], y[samples:])

    def train_dataloader(self) -> DataLoader[Any]:
        """Returns shuffled batches of 32."""
        return DataLoader(self.train_set, 32, shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        """Returns all validation samples."""
        return DataLoader(self.val_set, 256)
