"""Classification, segmentation and detection of images."""

from __future__ import annotations

import pytorch_lightning as pl
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score, MultilabelAUROC

GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.rand(64, 1, 8, 8, generator=GENERATOR)
LABELS = (IMAGES.mean((1, 2, 3)) * 300).long() % 3
MASKS = (IMAGES > 0.6).float()
TAGS = (IMAGES[:, 0, :3, 0] > 0.5).float()


def loaders(*tensors, batch_size=16):
    data = TensorDataset(*tensors)
    return DataLoader(data, batch_size, shuffle=True), DataLoader(data, batch_size)


class ImageData(pl.LightningDataModule):
    """Splits in `setup`, as most data modules do."""

    def __init__(self, batch_size: int = 16):
        super().__init__()
        self.save_hyperparameters()

    def setup(self, stage=None):
        whole = TensorDataset(IMAGES, LABELS)
        split = torch.Generator().manual_seed(1)
        self.train, self.val = torch.utils.data.random_split(whole, [48, 16], generator=split)

    def train_dataloader(self):
        return DataLoader(self.train, self.hparams.batch_size, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.val, self.hparams.batch_size)


class Classifier(pl.LightningModule):
    """Takes the network and keeps its metrics in a collection."""

    def __init__(self, network: nn.Module, num_classes: int = 3, lr: float = 1e-2):
        super().__init__()
        self.save_hyperparameters(ignore=["network"])
        self.network = network
        metrics = MetricCollection({"acc": MulticlassAccuracy(num_classes), "f1": MulticlassF1Score(num_classes)})
        self.train_metrics, self.val_metrics = metrics.clone("train_"), metrics.clone("val_")

    def forward(self, x):
        return self.network(x)

    def training_step(self, batch, batch_idx):
        x, y = batch
        logits = self(x)
        self.log_dict(self.train_metrics(logits, y))
        return functional.cross_entropy(logits, y)

    def validation_step(self, batch, batch_idx):
        x, y = batch
        logits = self(x)
        self.val_metrics.update(logits, y)
        self.log("val_loss", functional.cross_entropy(logits, y), prog_bar=True)

    def on_validation_epoch_end(self):
        self.log_dict(self.val_metrics.compute())
        self.val_metrics.reset()

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=self.hparams.lr)


class DigitsFromScratch(pl.LightningModule):
    """Builds its network, reads its data, all in one class, as first tutorials do."""

    def __init__(self, data_dir=".", hidden_size=16, learning_rate=2e-2):
        super().__init__()
        self.data_dir, self.learning_rate = data_dir, learning_rate
        self.model = nn.Sequential(nn.Flatten(), nn.Linear(64, hidden_size), nn.ReLU(), nn.Linear(hidden_size, 3))
        self.val_accuracy = MulticlassAccuracy(num_classes=3)

    def forward(self, x):
        return functional.log_softmax(self.model(x), dim=1)

    def training_step(self, batch, batch_idx):
        x, y = batch
        return functional.nll_loss(self(x), y)

    def validation_step(self, batch, batch_idx):
        x, y = batch
        self.val_accuracy.update(self(x), y)
        self.log("val_acc", self.val_accuracy, prog_bar=True)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate)

    def setup(self, stage=None):
        self.digits = TensorDataset(IMAGES, LABELS)

    def train_dataloader(self):
        return DataLoader(self.digits, batch_size=16, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.digits, batch_size=32)


class BuiltInSetup(pl.LightningModule):
    """Builds its network when it knows the data, and lowers its rate when a metric stalls."""

    def __init__(self, width: int = 8, lr: float = 1e-2):
        super().__init__()
        self.save_hyperparameters()

    def setup(self, stage):
        self.net = nn.Sequential(nn.Flatten(), nn.LazyLinear(self.hparams.width), nn.ReLU(), nn.LazyLinear(3))

    def training_step(self, batch, batch_idx):
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", nn.functional.cross_entropy(self.net(batch[0]), batch[1]))

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), self.hparams.lr)
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "monitor": "val_loss"}}


class Finetuning(pl.LightningModule):
    """A backbone and a head with learning rates of their own, and a schedule by step."""

    def __init__(self, arch: str = "small", num_classes: int = 3, lr: float = 1e-2, backbone_factor: float = 0.1):
        super().__init__()
        self.save_hyperparameters()
        self.backbone = nn.Sequential(nn.Flatten(), nn.Linear(64, 12))
        self.head = nn.Sequential(nn.ReLU(), nn.Dropout(0.1), nn.LazyLinear(num_classes))

    def forward(self, x):
        return self.head(self.backbone(x))

    def training_step(self, batch, batch_idx):
        loss = functional.cross_entropy(self(batch[0]), batch[1], label_smoothing=0.1)
        self.log("loss/train", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("loss/valid", functional.cross_entropy(self(batch[0]), batch[1]))

    def configure_optimizers(self):
        rates = [
            {"params": self.backbone.parameters(), "lr": self.hparams.lr * self.hparams.backbone_factor},
            {"params": self.head.parameters()},
        ]
        optimizer = torch.optim.SGD(rates, lr=self.hparams.lr, momentum=0.9)
        steps = self.trainer.estimated_stepping_batches
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, [0.01, 0.1], total_steps=int(steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class MultiLabel(pl.LightningModule):
    """Several labels for one image, scored by the area under the curve."""

    def __init__(self, learning_rate, model, n_labels=3):
        super().__init__()
        self.model, self.learning_rate = model, learning_rate
        self.auroc = MultilabelAUROC(n_labels)

    def step(self, batch):
        x, y = batch
        logits = self.model(x)
        return functional.binary_cross_entropy_with_logits(logits, y), logits

    def training_step(self, batch, batch_idx):
        return self.step(batch)[0]

    def validation_step(self, batch, batch_idx):
        _, logits = self.step(batch)
        self.auroc.update(logits.sigmoid(), batch[1].long())
        self.log("val/auroc", self.auroc, on_epoch=True)

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=self.learning_rate)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)]


class Segmenter(pl.LightningModule):
    """Collects true and false positives of every batch and scores them at the end of an epoch."""

    def __init__(self, arch, encoder_name, in_channels, out_classes, **kwargs):
        super().__init__()
        self.model = nn.Sequential(nn.Conv2d(in_channels, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, out_classes, 1))
        self.register_buffer("mean", torch.tensor([0.5]).view(1, 1, 1, 1))
        self.outputs = []

    def forward(self, image):
        return self.model((image - self.mean) / 0.25)

    def shared_step(self, batch, stage):
        image, mask = batch["image"], batch["mask"]
        logits = self(image)
        predicted = logits.sigmoid()
        loss = 1 - (2 * (predicted * mask).sum() + 1) / (predicted.sum() + mask.sum() + 1)
        hard = predicted > 0.5
        self.outputs.append(((hard & (mask > 0.5)).sum(), (hard | (mask > 0.5)).sum()))
        return loss

    def training_step(self, batch, batch_idx):
        return self.shared_step(batch, "train")

    def validation_step(self, batch, batch_idx):
        return self.shared_step(batch, "valid")

    def on_train_epoch_end(self):
        self.outputs.clear()

    def on_validation_epoch_end(self):
        both, either = (torch.stack(parts).sum() for parts in zip(*self.outputs, strict=True))
        self.log_dict({"valid_dataset_iou": both / either.clamp_min(1)}, prog_bar=True)
        self.outputs.clear()

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-2)


class Pairs(Dataset):
    def __len__(self):
        return len(IMAGES)

    def __getitem__(self, index):
        return {"image": IMAGES[index], "mask": MASKS[index]}


def pairs():
    return {"train": DataLoader(Pairs(), 16, shuffle=True), "valid": DataLoader(Pairs(), 16)}


class Boxes(Dataset):
    """Images with a number of boxes that differs from one to the other."""

    def __len__(self):
        return len(IMAGES)

    def __getitem__(self, index):
        count = 1 + index % 3
        centres = torch.arange(count) * 2 + 1
        return IMAGES[index], {"centres": torch.stack([centres, centres], 1), "labels": torch.arange(count) % 2}


def boxes():
    def collate(items):
        images, targets = zip(*items, strict=True)
        return list(images), list(targets)

    return DataLoader(Boxes(), 8, shuffle=True, collate_fn=collate), DataLoader(Boxes(), 8, collate_fn=collate)


class CentreDetector(pl.LightningModule):
    """Finds objects as peaks of a heat map; batches are lists of images and of targets."""

    def __init__(self, num_classes, backbone, lr=1e-2):
        super().__init__()
        self.num_classes, self.backbone, self.lr = num_classes, backbone, lr

    def losses(self, images, targets):
        heat = self.backbone(torch.stack(images))
        wanted = torch.zeros_like(heat)
        for i, target in enumerate(targets):
            wanted[i, target["labels"], target["centres"][:, 0], target["centres"][:, 1]] = 1.0
        return {"heat": functional.binary_cross_entropy_with_logits(heat, wanted)}

    def training_step(self, batch, batch_idx):
        losses = self.losses(*batch)
        self.log_dict(losses, batch_size=len(batch[0]))
        return {"loss": sum(losses.values())}

    def validation_step(self, batch, batch_idx):
        losses = self.losses(*batch)
        self.log("val_loss", sum(losses.values()), batch_size=len(batch[0]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr)
