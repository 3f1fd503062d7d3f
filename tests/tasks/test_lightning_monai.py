"""A module written for MONAI, with its data sets, loss, windows and metric, is searched as it is."""

from __future__ import annotations

import pytest
import torch
from pytorch_lightning import LightningDataModule, LightningModule

import nasplug as nas
from nasplug.tasks import LightningTask
from tests.support.volumes import balls

pytest.importorskip("monai")

PATCH = (16, 16, 16)


class Segmenter(LightningModule):
    """What a person would write with MONAI; batches are dictionaries."""

    def __init__(self, network, lr: float = 1e-2):
        super().__init__()
        from monai.losses import DiceCELoss
        from monai.metrics import DiceMetric

        self.network, self.lr = network, lr
        self.loss = DiceCELoss(to_onehot_y=True, softmax=True)
        self.dice = DiceMetric(include_background=False, num_classes=3)

    def training_step(self, batch, index):
        return self.loss(self.network(batch["image"]), batch["label"])

    def validation_step(self, batch, index):
        from monai.inferers import sliding_window_inference

        logits = sliding_window_inference(batch["image"], PATCH, 2, self.network)
        self.dice(logits.argmax(1, keepdim=True), batch["label"])

    def on_validation_epoch_end(self):
        self.log("val_dice", self.dice.aggregate().item())
        self.dice.reset()

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), self.lr)


class Volumes(LightningDataModule):
    """Balls in a cache of MONAI, cut by its dictionary transforms."""

    def setup(self, stage=None):
        from monai.data import CacheDataset
        from monai.transforms import Compose, RandCropByPosNegLabeld

        cases = [{"image": image[None] / 100, "label": mask[None]} for image, mask in map(self.case, range(4))]
        crop = RandCropByPosNegLabeld(("image", "label"), "label", PATCH, num_samples=2)
        self.train = CacheDataset(cases[:3], Compose([crop]), progress=False)
        self.val = CacheDataset(cases[3:], Compose([]), progress=False)

    @staticmethod
    def case(number):
        return balls(seed=number)

    def train_dataloader(self):
        from monai.data import DataLoader

        return DataLoader(self.train, 2)

    def val_dataloader(self):
        from monai.data import DataLoader

        return DataLoader(self.val, 1)


def test_a_module_of_monai_is_searched_as_it_is():
    study = nas.search(
        LightningTask(
            Segmenter, Volumes(), (1, *PATCH), 3, {"val_dice": "max"}, output={"kind": "volume", "channels": 3}
        ),
        space=nas.component("unet", max_depth=1, widths=[4, 8], repeats=[1], blocks=["conv"]),
        strategy="random",
        trials=2,
        epochs=6,
        seed=0,
    )
    assert [trial.state for trial in study.trials] == ["complete"] * 2
    assert study.best.metrics["val_dice"] > 0.1
