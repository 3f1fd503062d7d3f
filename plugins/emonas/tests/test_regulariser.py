"""The penalty on one bits: its slope, and what it does in a training."""

from __future__ import annotations

import math

import pytest
import pytorch_lightning as pl
import torch
from nasplug_emonas.boo.bits import ones
from nasplug_emonas.boo.formats import BitFormat
from nasplug_emonas.boo.regulariser import BooRegulariser, slope
from torch import nn

import nasplug as nas
from nasplug.contract.errors import SpecError

FORM = BitFormat.parse("Q3.0/sign_magnitude")


@pytest.mark.parametrize(
    ("weight", "expected"),
    [(0.5, 1), (1.5, 0), (3.5, -1), (6.9, 1), (7.0, 1), (9.0, 1), (-0.5, -2), (-1.5, 0), (-3.5, 1), (-9.0, -1)],
)
def test_slope_between_integers(weight, expected):
    assert slope(torch.tensor([weight]), FORM).tolist() == [expected]


def test_slope_is_the_difference_of_counts():
    weights = torch.randn(50, generator=torch.Generator().manual_seed(0))
    largest = float(weights.abs().max())  # keeps the scale
    for text in ("int4/twos_complement", "int8/sign_magnitude"):
        form = BitFormat.parse(text)
        step = largest / (2 ** (form.bits - 1) - 1)
        for weight, found in zip(weights.tolist(), slope(weights, form).tolist(), strict=True):
            below = min(math.floor(weight / step), 2 ** (form.bits - 1) - 2)
            pairs = [torch.tensor([q * step, largest], dtype=torch.float64) for q in (below, below + 1)]
            assert found == ones(pairs[1], form) - ones(pairs[0], form)


def test_zero_weights_are_left_alone():
    assert slope(torch.zeros(3, 2), BitFormat.parse("int8")).abs().sum() == 0


class Still(pl.LightningModule):
    """A network without a loss of its own: only the penalty moves it."""

    def __init__(self):
        super().__init__()
        self.network = nn.Sequential(nn.Linear(20, 10), nn.BatchNorm1d(10))

    def training_step(self, batch, index):
        return sum(parameter.sum() * 0.0 for parameter in self.parameters())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)

    def train_dataloader(self):
        return torch.utils.data.DataLoader(torch.zeros(30, 1))


def fit(module, *callbacks, epochs=1):
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
    )
    trainer.fit(module)


def test_only_counted_weights_move_and_their_ones_get_fewer():
    torch.manual_seed(0)
    module = Still()
    before = {name: tensor.clone() for name, tensor in module.named_parameters()}
    fit(module, BooRegulariser(strength=0.05))
    moved = {name for name, tensor in module.named_parameters() if not torch.equal(tensor, before[name])}
    assert moved == {"network.0.weight"}
    form = BitFormat.parse("int8/sign_magnitude")
    assert ones(module.network[0].weight, form) < 0.95 * ones(before["network.0.weight"], form)


def test_it_begins_when_it_is_told_to():
    torch.manual_seed(0)
    module = Still()
    before = module.network[0].weight.clone()
    fit(module, BooRegulariser(strength=0.05, start_epoch=1))
    assert torch.equal(module.network[0].weight, before)
    fit(module, BooRegulariser(strength=0.05, start_epoch=1), epochs=2)
    assert not torch.equal(module.network[0].weight, before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "float32"}, "follow no scale"),
        ({"strength": -1.0}, "not be negative"),
        ({"format": "int99"}, "99"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(SpecError, match=message):
        BooRegulariser(**arguments)


def test_fewer_ones_after_a_real_training_at_little_loss_of_accuracy():
    """Digits, one architecture, with and without the penalty: the cost `boo` of the trained network falls."""

    def trained(*callbacks):
        study = nas.search(
            nas.ImageClassification(limit=600, training=nas.Training(lr=5e-3)),
            space=nas.component("nasbench201", channels=4, cells=1),
            enqueue=[["nor_conv_3x3"] * 6],
            objectives={"val_acc": "max"},
            costs=[nas.component("boo", format="int8", code="sign_magnitude")],
            callbacks=list(callbacks),
            trials=1,
            epochs=4,
            progress=False,
        )
        return study.best.values

    plain = trained()
    regular = trained(nas.component("emonas.boo_regulariser", strength=3e-3))
    assert regular["boo/ones"] < 0.9 * plain["boo/ones"]
    assert regular["boo/weights"] == plain["boo/weights"]
    assert regular["val_acc"] > plain["val_acc"] - 0.1
