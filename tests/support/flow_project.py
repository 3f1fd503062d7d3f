"""Tasks of every kind of input and output, with small spaces of a user's own; random but learnable data."""

from __future__ import annotations

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import nasplug as nas

WORDS = 20


class Batches(pl.LightningDataModule):
    """Inputs and targets of one kind."""

    def __init__(self, kind: str, size: int = 24) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        image = torch.rand(size, 1, 8, 8, generator=generator)
        signal = torch.rand(size, 2, 12, generator=generator)
        scan = torch.rand(size, 1, 4, 6, 4, generator=generator)
        tokens = torch.randint(0, WORDS, (size, 10), generator=generator)
        self.tensors: tuple[torch.Tensor, ...] = {
            "classes": lambda: (image, (image.mean((1, 2, 3)) > 0.5).long()),
            "pixels": lambda: (image, (image[:, 0] > 0.5).long()),
            "voxels": lambda: (scan, (scan[:, 0] > 0.5).long()),
            "signal": lambda: (signal, (signal[:, 0].mean(1) > 0.5).long()),
            "values": lambda: (signal.flatten(1), signal[:, :, 0]),
            "tags": lambda: (tokens, (tokens >= WORDS // 2).long()),
            "masked": lambda: (tokens, tokens > 3, (tokens.float().mean(1) > WORDS / 2).long()),
            "pair": lambda: (image, signal, (image.mean((1, 2, 3)) > signal.mean((1, 2))).long()),
        }[kind]()

    def train_dataloader(self) -> DataLoader:
        return DataLoader(TensorDataset(*self.tensors), 8, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(TensorDataset(*self.tensors), 8)


class Lit(pl.LightningModule):
    """Cross-entropy over whatever the network gives, or the squared error of a regression."""

    def __init__(self, network: nn.Module, names: tuple[str, ...] = (), regression: bool = False) -> None:
        super().__init__()
        self.network, self.names, self.regression = network, names, regression

    def _loss(self, batch: list[torch.Tensor]) -> torch.Tensor:
        *inputs, target = batch
        named = dict(zip(self.names, inputs, strict=True)) if self.names else {}
        answer = self.network(**named) if named else self.network(*inputs)
        if self.regression:
            return nn.functional.mse_loss(answer, target)
        classes = answer.movedim(-1, 1) if answer.dim() == 3 and target.dim() == 2 else answer  # sequences
        return nn.functional.cross_entropy(classes, target)

    def training_step(self, batch, _):
        return self._loss(batch)

    def validation_step(self, batch, _):
        self.log("val_loss", self._loss(batch))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 1e-2)


class Own(nas.ChoiceSpace):
    """Networks of one width; it states nothing, as users' spaces do."""

    def __init__(self) -> None:
        super().__init__("own", [nas.Choice("width", (2, 4))])

    def build(self, architecture, task):
        (width,) = architecture.genotype
        return self.network(width, task)


class UNet(Own):
    def network(self, width, task):
        return _UNet(task.input_shape[0], width, task.outputs)


class _UNet(nn.Module):
    def __init__(self, channels: int, width: int, outputs: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(channels, width, 3, padding=1)
        self.inner = nn.Conv2d(width, width, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(width, width, 2, stride=2)
        self.head = nn.Conv2d(2 * width, outputs, 1)

    def forward(self, x):
        down = torch.relu(self.down(x))
        return self.head(torch.cat([down, self.up(torch.relu(self.inner(down)))], 1))


class Volumes(Own):
    def network(self, width, task):
        return nn.Sequential(
            nn.Conv3d(task.input_shape[0], width, 3, padding=1), nn.ReLU(), nn.Conv3d(width, task.outputs, 1)
        )


class Signals(Own):
    def network(self, width, task):
        return nn.Sequential(
            nn.Conv1d(task.input_shape[0], width, 3), nn.ReLU(), nn.Flatten(), nn.Linear(width * 10, task.outputs)
        )


class Values(Own):
    def network(self, width, task):
        return nn.Sequential(nn.Linear(task.input_shape[0], width), nn.ReLU(), nn.Linear(width, task.outputs))


class Tagger(Own):
    def network(self, width, task):
        return _Tagger(task.inputs.args[0].high, width, task.outputs)


class _Tagger(nn.Module):
    def __init__(self, words: int, width: int, outputs: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.head = nn.Linear(width, outputs)

    def forward(self, tokens):
        return self.head(self.lstm(self.embedding(tokens))[0])


class Reader(Own):
    def network(self, width, task):
        return _Reader(task.inputs.kwargs["tokens"].high, width, task.outputs)


class _Reader(nn.Module):
    def __init__(self, words: int, width: int, outputs: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.layer = nn.TransformerEncoderLayer(width, 1, 2 * width, dropout=0.0, batch_first=True)
        self.head = nn.Linear(width, outputs)

    def forward(self, tokens, *, mask):
        found = self.layer(self.embedding(tokens))
        return self.head((found * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp_min(1))


class Pairs(Own):
    def network(self, width, task):
        return _Pair(width, task.outputs)


class _Pair(nn.Module):
    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.image, self.signal = nn.Linear(64, width), nn.Linear(24, width)
        self.head = nn.Linear(width, outputs)

    def forward(self, image, signal):
        return self.head(torch.relu(self.image(image.flatten(1)) + self.signal(signal.flatten(1))))


TOKENS = {"shape": [10], "dtype": "int64", "high": WORDS}


def task(kind: str) -> nas.LightningTask:
    """The task of a kind."""
    stated = {
        "classes": {"input_shape": (1, 8, 8)},
        "pixels": {"input_shape": (1, 8, 8), "output": "map"},
        "voxels": {"input_shape": (1, 4, 6, 4), "output": "volume"},
        "signal": {"input_shape": (2, 12)},
        "values": {"inputs": [24], "module_args": {"regression": True}},
        "tags": {"inputs": TOKENS, "output": "sequence"},
        "masked": {
            "inputs": {"tokens": TOKENS, "mask": {"shape": [10], "dtype": "bool"}},
            "module_args": {"names": ("tokens", "mask")},
        },
        "pair": {"inputs": [[1, 8, 8], [2, 12]]},
    }[kind]
    return nas.LightningTask(Lit, Batches(kind), outputs=2, objectives={"val_loss": "min"}, **stated)


SPACES = {
    "pixels": UNet,
    "voxels": Volumes,
    "signal": Signals,
    "values": Values,
    "tags": Tagger,
    "masked": Reader,
    "pair": Pairs,
}
