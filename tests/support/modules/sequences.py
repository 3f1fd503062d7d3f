"""Text, time series and tables."""

from __future__ import annotations

import pytorch_lightning as pl
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchmetrics import MeanAbsoluteError, MeanSquaredError

from tests.support.modules.images import loaders
from tests.support.modules.spaces import Reader

GENERATOR = torch.Generator().manual_seed(1)
TOKENS = torch.randint(0, 40, (64, 10), generator=GENERATOR)
SERIES = torch.rand(64, 12, 3, generator=GENERATOR)
CALENDAR = torch.rand(64, 4, generator=GENERATOR)
TABLE = torch.rand(64, 6, generator=GENERATOR)
PRICES = TABLE @ torch.arange(6.0) + 3


class Sentences(Dataset):
    """Rows as a tokenizer gives them."""

    def __len__(self):
        return len(TOKENS)

    def __getitem__(self, index):
        tokens = TOKENS[index]
        return {"input_ids": tokens, "attention_mask": tokens > 3, "labels": (tokens[0] > 20).long()}


def sentences():
    return DataLoader(Sentences(), 16, shuffle=True), DataLoader(Sentences(), 16)


class TextClassifier(pl.LightningModule):
    """Loads a model by name in `configure_model`, and passes unknown arguments on."""

    def __init__(
        self, model_name_or_path: str, num_labels: int, learning_rate: float = 2e-2, warmup_steps: int = 0, **kw
    ):
        super().__init__()
        self.save_hyperparameters()
        self.model = None

    def configure_model(self):
        if self.model is None:
            self.model = Reader(40, 16, self.hparams.num_labels)

    def forward(self, **inputs):
        return self.model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])

    def training_step(self, batch, batch_idx):
        return functional.cross_entropy(self(**batch), batch["labels"])

    def validation_step(self, batch, batch_idx, dataloader_idx=0):
        logits = self(**batch)
        self.log("val_loss", functional.cross_entropy(logits, batch["labels"]))
        return {"loss": 0.0, "preds": logits.argmax(1)}

    def configure_optimizers(self):
        plain = [parameter for name, parameter in self.model.named_parameters() if "bias" in name]
        decayed = [parameter for name, parameter in self.model.named_parameters() if "bias" not in name]
        groups = [{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=self.hparams.learning_rate)
        warm = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 2))
        return [optimizer], [{"scheduler": warm, "interval": "step", "frequency": 1}]


class SequenceTagger(pl.LightningModule):
    """A class for each token."""

    def __init__(self, encoder: nn.Module, n_tags: int = 2):
        super().__init__()
        self.encoder, self.n_tags = encoder, n_tags

    def training_step(self, batch, batch_idx):
        tokens, tags = batch
        return functional.cross_entropy(self.encoder(tokens).flatten(0, 1), tags.flatten())

    def validation_step(self, batch, batch_idx):
        tokens, tags = batch
        self.log("val_acc", (self.encoder(tokens).argmax(-1) == tags).float().mean())

    def configure_optimizers(self):
        return torch.optim.RAdam(self.parameters())


class Forecaster(pl.LightningModule):
    """Predicts the next values of a series from its past and the calendar."""

    def __init__(self, lookback=12, horizon=2, net=None, lr=1e-2):
        super().__init__()
        self.net, self.lr, self.horizon = net, lr, horizon
        self.mae = MeanAbsoluteError()

    def training_step(self, batch, batch_idx):
        series, calendar, future = batch
        loss = functional.huber_loss(self.net(series, calendar), future)
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch, batch_idx):
        series, calendar, future = batch
        self.mae(self.net(series, calendar), future)
        self.log("val_mae", self.mae, on_step=False, on_epoch=True)

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.net.parameters(), lr=self.lr)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": plateau, "monitor": "val_mae"}}


def forecasts():
    return loaders(SERIES, CALENDAR, SERIES[:, -2:, 0] + CALENDAR[:, :1])


class Prices(pl.LightningDataModule):
    """A table that is scaled by its training part."""

    def __init__(self):
        super().__init__()
        self.scaled = None

    def setup(self, stage: str):
        self.scaled = (TABLE - TABLE[:48].mean(0)) / TABLE[:48].std(0)

    def train_dataloader(self):
        return DataLoader(TensorDataset(self.scaled[:48], PRICES[:48]), 12, shuffle=True, drop_last=True)

    def val_dataloader(self):
        return DataLoader(TensorDataset(self.scaled[48:], PRICES[48:]), 16)


class PriceRegressor(pl.LightningModule):
    """Regression of one value; the closure of the optimiser is its own."""

    def __init__(self, network, lr=0.05, clip=1.0):
        super().__init__()
        self.network, self.lr, self.clip = network, lr, clip
        self.rmse = MeanSquaredError(squared=False)
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        x, y = batch
        optimizer = self.optimizers()
        loss = functional.mse_loss(self.network(x).squeeze(-1), y)
        self.manual_backward(loss / 2)
        if batch_idx % 2:  # gradients of two batches
            self.clip_gradients(optimizer, self.clip, gradient_clip_algorithm="norm")
            optimizer.step()
            optimizer.zero_grad()

    def validation_step(self, batch, batch_idx):
        x, y = batch
        self.rmse(self.network(x).squeeze(-1), y)
        self.log("val_rmse", self.rmse)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), self.lr)
