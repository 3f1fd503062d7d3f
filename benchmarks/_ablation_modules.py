"""Modules and data that ablation is measured on: a Titanic-like network, one that sleeps, images, a table, volumes."""

from __future__ import annotations

import time
from typing import Any

import pytorch_lightning as pl
import torch
from nasplug_ablation.planted import Planted, PlantedData
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

COLUMNS = ("pclass", "sex", "age", "sibsp", "parch", "fare")


class Classifier(pl.LightningModule):
    """Trains any classifier, of samples or of pixels.

    Args:
        network: Network.
        lr: Learning rate.
        weight_decay: Weight decay of AdamW.
    """

    def __init__(self, network: nn.Module, lr: float = 0.005, weight_decay: float = 0.01) -> None:
        super().__init__()
        self.net, self.lr, self.weight_decay = network, lr, weight_decay

    def training_step(self, batch: Any, _: int) -> Tensor:
        """Returns the loss of a batch."""
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch: Any, _: int) -> None:
        """Logs the accuracy; of pixels, the mean Dice of the classes beside the first."""
        answered = self.net(batch[0]).argmax(1)
        if answered.dim() == 1:
            self.log("val_acc", (answered == batch[1]).float().mean())
            return
        scores = []
        for index in range(1, int(batch[1].max()) + 1):
            found, true = answered == index, batch[1] == index
            scores.append(2 * (found & true).sum() / (found.sum() + true.sum()).clamp_min(1))
        self.log("val_dice", torch.stack(scores).mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Returns AdamW."""
        return torch.optim.AdamW(self.parameters(), self.lr, weight_decay=self.weight_decay)


class Split(pl.LightningDataModule):
    """Two parts of tensors.

    Args:
        x: Samples.
        y: Targets.
        train: Number of samples to train on.
        batch_size: Size of batches of training data.
        names: Names of the features.
    """

    def __init__(self, x: Tensor, y: Tensor, train: int, batch_size: int = 32, names: tuple[str, ...] = ()) -> None:
        super().__init__()
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
        x, y = x[order], y[order]
        self.parts, self.batch_size = (
            (TensorDataset(x[:train], y[:train]), TensorDataset(x[train:], y[train:])),
            batch_size,
        )
        if names:
            self.feature_names = names

    def train_dataloader(self) -> DataLoader[Any]:
        """Returns shuffled batches."""
        return DataLoader(self.parts[0], self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        """Returns all validation samples in one batch."""
        return DataLoader(self.parts[1], len(self.parts[1]))


# -- Titanic-like ------------------------------------------------------------------------------------------------------


class Passengers(nn.Module):
    """Layers with the names of Maggy's documentation."""

    def __init__(self) -> None:
        super().__init__()
        self.my_dense_one = nn.Sequential(nn.Linear(6, 16), nn.ReLU())
        self.my_dense_two = nn.Sequential(nn.Linear(16, 16), nn.ReLU())
        self.my_dense_three = nn.Sequential(nn.Linear(16, 16), nn.ReLU())
        self.my_dense_four = nn.Sequential(nn.Linear(16, 16), nn.ReLU())
        self.my_dense_five = nn.Sequential(nn.Linear(16, 16), nn.ReLU())
        self.my_dense_six = nn.Sequential(nn.Linear(16, 16), nn.ReLU())
        self.output = nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits (N, 2) of rows (N, 6)."""
        for layer in self.children():
            x = layer(x)
        return x


def titanic() -> Classifier:
    """Returns the module."""
    return Classifier(Passengers())


def passengers() -> Split:
    """Returns rows of six columns, of which `sex`, `pclass` and `age` decide, by a rule that is drawn at random."""
    x = torch.randn(300, 6, generator=torch.Generator().manual_seed(1))
    y = (1.5 * x[:, 1] - x[:, 0] - 0.5 * x[:, 2] > 0).long()
    return Split(x, y, 200, names=COLUMNS)


def shallow() -> Classifier:
    """Returns a module with one layer: a variant of one's own."""
    return Classifier(nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2)))


TITANIC: list[Any] = [
    *({"module": f"my_dense_{number}"} for number in ("two", "three", "four", "five", "six")),
    {"group": ["my_dense_two", "my_dense_three"], "name": "two and three"},
    {"group": "net.my_dense_f*", "name": "four and five"},
    {"features": list(COLUMNS)},
    {"custom": "_ablation_modules:shallow"},
]


# -- sleeping ----------------------------------------------------------------------------------------------------------


class Sleeper(Planted):
    """Sleeps at the beginning of a training, which then is short.

    Args:
        seconds: Seconds of sleep.
        one: Hyperparameter that changes next to nothing.
        two: Another one.
    """

    def __init__(self, seconds: float = 1.0, one: float = 0.0, two: float = 0.0) -> None:
        super().__init__(lr=0.05 + 1e-6 * one + 1e-6 * two)
        self.seconds = seconds

    def on_train_epoch_start(self) -> None:
        """Sleeps."""
        time.sleep(self.seconds)


SLEEPING: list[Any] = [
    {"module": "net.needed"},
    {"module": "net.useless"},
    {"features": "all"},
    {"loss": "penalty"},
    {"hyperparameter": {"one": 1.0}},
    {"hyperparameter": {"two": 1.0}},
]


def few() -> PlantedData:
    """Returns little data."""
    return PlantedData(32)


# -- real studies ------------------------------------------------------------------------------------------------------


def images(path: str, train: int = 2000, val: int = 1000) -> Split:
    """Returns the first training images of CIFAR-10 (JPEG), RGB of 32 x 32 pixels, standardised.

    Args:
        path: Path of `cifar10_jpeg.npz`.
        train: Number of images to train on.
        val: Number of images to validate on.
    """
    from _continual import _whole

    whole = _whole(path)
    count = train + val
    x = torch.tensor(whole.x_train[:count]).float() / 255
    x = x.permute(0, 3, 1, 2) if x.shape[-1] == 3 else x
    y = torch.tensor(whole.y_train[:count]).long()
    return Split((x - x.mean((0, 2, 3), keepdim=True)) / x.std((0, 2, 3), keepdim=True), y, train, 64)


def resnet(weight_decay: float = 0.05) -> Classifier:
    """Returns timm's test_resnet, all of whose kinds of blocks are in four layers."""
    import timm

    return Classifier(timm.create_model("test_resnet", num_classes=10), 0.003, weight_decay)


def rows() -> Split:
    """Returns scikit-learn's wine data, columns standardised."""
    from sklearn.datasets import load_wine

    data = load_wine()
    x = torch.tensor(data.data, dtype=torch.float32)
    names = tuple(name.replace("/", "_") for name in data.feature_names)
    return Split((x - x.mean(0)) / x.std(0), torch.tensor(data.target), 90, 16, names)


def mlp(weight_decay: float = 0.01) -> Classifier:
    """Returns a perceptron with normalisation and dropout for the table."""
    body = (nn.Linear(13, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 32), nn.ReLU())
    return Classifier(nn.Sequential(*body, nn.Linear(32, 3)), 0.01, weight_decay)


def volumes() -> Split:
    """Returns synthetic slices of four modalities: a lesion in two, its core in a third, noise in the fourth."""
    generator = torch.Generator().manual_seed(2)
    count, size = 96, 24
    x = 0.5 * torch.randn(count, 4, size, size, generator=generator)
    y = torch.zeros(count, size, size, dtype=torch.long)
    place = torch.randint(6, size - 6, (count, 2), generator=generator)
    grid = torch.arange(size)
    for index in range(count):
        away = (grid[:, None] - place[index, 0]) ** 2 + (grid[None] - place[index, 1]) ** 2
        lesion, core = away < 25, away < 6
        y[index][lesion], y[index][core] = 1, 2
        x[index, 0] += lesion.float()
        x[index, 1] += 0.7 * lesion.float()
        x[index, 2] += 1.5 * core.float()
    return Split(x, y, 64, 8, ("flair", "t2", "t1ce", "t1"))


def unet() -> Classifier:
    """Returns MONAI's U-Net for the slices."""
    from monai.networks.nets import UNet

    return Classifier(UNet(2, 4, 3, channels=(8, 16), strides=(2,), num_res_units=1), lr=0.01)
