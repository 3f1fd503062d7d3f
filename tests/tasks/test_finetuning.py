"""Fine-tuning: heads, groups of parameters, frozen backbones."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import nasplug as nas
from nasplug.contract.errors import TaskError
from nasplug.data.settings import Loading
from nasplug.data.table import Table
from nasplug.tasks.finetuning import Freezing, head_names, parameter_groups
from nasplug.tasks.settings import Training
from nasplug.tasks.supervised import Regression


def net():
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 4))


def test_the_head_is_the_last_layer_or_what_timm_says():
    timm = pytest.importorskip("timm")
    assert head_names(net()) == {"3.weight", "3.bias"}
    wrapped = nn.ModuleDict({"inner": timm.create_model("test_vit", num_classes=3)})
    assert head_names(wrapped) == {"inner.head.weight", "inner.head.bias"}


def rates(network, **settings):
    groups = parameter_groups(network, 1.0, **settings)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    return {names[id(parameter)]: group["lr"] for group in groups for parameter in group["params"]}


def test_rates_fall_towards_the_input():
    found = rates(net(), layer_decay=0.5, head_factor=10.0)
    assert found == {"0.weight": 0.5, "0.bias": 0.5, "1.weight": 1.0, "1.bias": 1.0, "3.weight": 10.0, "3.bias": 10.0}


def test_layers_of_timm_models_are_timms():
    timm = pytest.importorskip("timm")
    network = timm.create_model("test_vit", num_classes=3)
    found = rates(network, layer_decay=0.5)
    assert set(found) == {name for name, _ in network.named_parameters()}
    blocks = [found[f"blocks.{i}.attn.qkv.weight"] for i in range(len(network.blocks))]
    assert blocks == sorted(blocks)
    assert len(set(blocks)) == len(blocks)
    assert found["patch_embed.proj.weight"] < blocks[0]
    assert found["head.weight"] == 1.0


def test_frozen_parameters_and_statistics():
    network = net().train()
    network[0].bias.requires_grad_(False)  # the user's own, which stays
    freezing = Freezing(network, 1)
    freezing.start(0)
    assert [p.requires_grad for p in network.parameters()] == [False] * 4 + [True] * 2
    assert not network[1].training
    assert network[3].training
    network.train()
    freezing.start(1)
    assert [p.requires_grad for p in network.parameters()] == [True, False] + [True] * 4
    assert network[1].training


def test_a_training_with_frozen_epochs_changes_the_head_first():
    import pytorch_lightning as pl

    task = nas.ImageClassification(limit=128, training=Training(frozen_epochs=1, layer_decay=0.5, head_factor=2.0))
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 10))
    seen = []

    class Look(pl.Callback):
        def on_train_epoch_end(self, trainer, module):
            seen.append([value.clone() for value in network.state_dict().values()])

    start = [value.clone() for value in network.state_dict().values()]
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    trainer = pl.Trainer(max_epochs=2, callbacks=[Look()], enable_model_summary=False, **quiet)
    trainer.fit(task.module(network), datamodule=task.datamodule())
    moved = [[not torch.equal(a, b) for a, b in zip(*pair, strict=True)] for pair in zip([start, *seen], seen)]  # noqa: B905
    assert moved == [[False] * 7 + [True] * 2, [True] * 9]
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize(
    "wrong", [{"layer_decay": 0.0}, {"layer_decay": 1.5}, {"head_factor": -1.0}, {"frozen_epochs": 0.5}]
)
def test_bad_settings(wrong):
    with pytest.raises(TaskError, match=next(iter(wrong))):
        Training(**wrong)


def test_tables_are_not_like_weights():
    with pytest.raises(TaskError, match="image_classification"):
        Regression(Table("rows.csv"), loading=Loading(like="timm:resnet18"))
