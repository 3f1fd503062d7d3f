"""Bad input of a study, in Python and on the command line: one message with a way out, before anything trains."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch
from nasplug_ablation import AblationStudy
from nasplug_ablation.planted import Planted, PlantedData
from torch.utils.data import DataLoader, TensorDataset

import nasplug as nas
from nasplug.cli import main
from nasplug.contract.errors import NasplugError


class Loud(nas.Tracker):
    """Fails when a trial is handed out."""

    def submitted(self, trial):
        raise AssertionError("something trains")


class Unlabelled(pl.LightningDataModule):
    def train_dataloader(self):
        return DataLoader(TensorDataset(torch.rand(16, 2)), 8)

    val_dataloader = train_dataloader


class Unvalidated(PlantedData):
    def val_dataloader(self):
        return []


class Empty(pl.LightningDataModule):
    def train_dataloader(self):
        return DataLoader(TensorDataset(torch.rand(0, 2), torch.zeros(0).long()), 8)

    val_dataloader = train_dataloader


class Unreadable(pl.LightningDataModule):
    def setup(self, stage):
        raise FileNotFoundError("there is no file images.npz")

    def train_dataloader(self):
        raise NotImplementedError


class Silent(Planted):
    def validation_step(self, batch, _):
        pass


NEEDED = [{"module": "net.needed"}]


def refused(components=NEEDED, module=Planted, data=PlantedData, **changes):
    """What a study says, as one line."""

    def run():
        study = AblationStudy(module, data, components=components, **{"epochs": 1, "seeds": 1, **changes})
        study.run(trackers=[Loud()])

    with pytest.raises(NasplugError) as caught:
        run()
    return " ".join(str(caught.value).split())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"metric": "val_acx"}, ["does not log 'val_acx'", "it logs val_acc", "did you mean 'val_acc'?"]),
        ({"module": Silent}, ["does not log 'val_acc'", "logs no metric at all"]),
        ({"direction": "up"}, ["direction 'up'", "write max or min"]),
        ({"seeds": 0}, ["there are no seeds", "at least 1"]),
        ({"seeds": [1, 1]}, ["cannot train with the seeds [1, 1]", "different integers"]),
        ({"seeds": "a"}, ["the argument 'seeds' has the wrong type"]),
        ({"epochs": "x"}, ["budget.epochs: expected an integer, got 'x'"]),
        ({"strategy": "locoo"}, ["there is no strategy 'ablation.locoo'", "did you mean 'ablation.loco'?"]),
        ({"strategy": {"shapley": {"ordrs": 3}}}, ["no argument 'ordrs'", "did you mean 'orders'?"]),
        ({"module": "nasplug_ablation.plantd:Planted"}, ["cannot import", "'nasplug_ablation.planted'?"]),
        ({"module": "nasplug_ablation.planted:Planed"}, ["cannot import", "did you mean 'Planted'?"]),
        ({"module": 3}, ["expected a class or a function, got int"]),
        ({"module": Planted()}, ["expected a class or a function, got Planted", "every trial begins with a new one"]),
        ({"module": torch.nn.ReLU}, ["gave a ReLU, not a LightningModule", "wrap the network"]),
        ({"module_args": {"lrr": 3}}, ["Planted has no argument 'lrr'", "did you mean 'lr'?"]),
        ({"data": "nasplug_ablation.planted:PlantedDta"}, ["cannot import", "did you mean 'PlantedData'?"]),
        ({"data": None}, ["there are no data", "give a LightningDataModule"]),
        ({"data": Unlabelled}, ["IndexError", "planted.py", "fix the module, the data"]),
        ({"data": Unvalidated}, ["nothing was measured", "no validation was due", "check the data"]),
        ({"data": Empty}, ["there is no training batch", "check train_dataloader"]),
        ({"data": Unreadable}, ["cannot be read", "there is no file images.npz", "setup('fit')"]),
        ({"features": {"nams": ["a"]}}, ["features have no 'nams'", "did you mean 'names'?"]),
        ({"setup": {"callbaks": {}}}, ["a setup has no 'callbaks'", "did you mean 'callbacks'?"]),
    ],
)
def test_a_study(changes, words):
    said = refused(**changes)
    for each in words:
        assert each in said, said


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (None, ["there is nothing to take away"]),
        ({"feature": "nothing"}, ["the data have no feature 'nothing'", "they have needed, useless"]),
        ({"feature": 99}, ["there is no feature 99", "axis 1 has 2"]),
        ({"feature": {"at": "image", "index": 0}}, ["the batch has nothing at ['image']"]),
        ({"feature": "needed", "mode": "remove"}, ["there is no mode 'remove'", "drop, fill, permute"]),
        ({"feature": "needed", "fill": "avg"}, ["features cannot be filled with 'avg'", "a number, or `mean`"]),
        ({"group": "net.layer*.se"}, ["'net.layer*.se' matches no module", "the network has net, net.needed"]),
        ({"group": []}, ["cannot read []", "write a pattern"]),
        ({"group": ["net.needed"]}, ["has one member", "write `- module:`"]),
        ({"modules": "net.x*"}, ["'net.x*' matches no module", "check its spelling"]),
        ({"module": "net.neded"}, ["no module 'net.neded'", "did you mean 'net.needed'?"]),
        ({"module": "net.needed", "policy": "remove"}, ["there is no policy 'remove'", "did you mean"]),
        ({"module": "net.needed", "policy": "identity"}, ["1 component cannot be taken away", "it turns 2 into 8"]),
        ({"module": "net.needed", "polcy": "zero"}, ["has no option 'polcy'", "did you mean 'policy'?"]),
        ({"modul": "net.needed"}, ["it names nothing", "did you mean 'module'?"]),
        ({"module": "net.needed", "feature": "needed"}, ["an entry names one thing", "module and feature"]),
        ("net.needed", ["expected a mapping, got 'net.needed'", "write `- module: NAME`"]),
        ({"type": "Dropuot", "together": True}, ["no module of type 'Dropuot'", "known: Linear"]),
        ({"type": 3, "together": True}, ["expected a class or the name of one, got 3"]),
        ({"span": ["net.needed", "nothing"]}, ["no module 'nothing'"]),
        ({"replace": "net.needed", "by": "torch.nn.ReLUU"}, ["cannot import 'torch.nn.ReLUU'", "'ReLU'?"]),
        ({"replace": "net.needed", "by": "torch.nn.Linear"}, ["cannot be taken away", "in_features"]),
        ({"callback": "ema"}, ["the study has no callback 'ema'", "under `callbacks:`"]),
        ({"augmentation": "Flip"}, ["no augmentation 'Flip'"]),
        ({"loss": "penalti"}, ["no 'penalti' in the LightningModule", "did you mean 'penalty'?"]),
        ({"hyperparameter": {"lrr": 0.1}}, ["no argument 'lrr'", "did you mean 'lr'?"]),
        ({"hyperparameter": {"lr": 0.05}}, ["the trial would be the base", "give another value"]),
        ({"custom": "nasplug_ablation.planted:nothing"}, ["cannot import 'nasplug_ablation.planted:nothing'"]),
    ],
)
def test_a_component(entry, words):
    said = refused(components=[] if entry is None else [entry])
    for each in words:
        assert each in said, said


SPEC = """
module: nasplug_ablation.planted:Planted
data: nasplug_ablation.planted:PlantedData
components: [{module: net.needed}]
seeds: 1
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SPEC.replace("net.needed", "net.neded"), "did you mean 'net.needed'?"),
        (SPEC.replace("{module: net.needed}", "{group: 'net.layer*'}"), "matches no module"),
        (SPEC.replace("{module: net.needed}", "{feature: nothing}"), "the data have no feature 'nothing'"),
        (SPEC + "metric: val_acx\n", "does not log 'val_acx'"),
        (SPEC + "epoch: 3\n", "epoch"),
        ("module: [", "YAML"),
        ("- 3\n", "mapping"),
        (SPEC.replace("planted:Planted\n", "plantd:Planted\n"), "did you mean 'nasplug_ablation.planted'?"),
    ],
)
def test_the_command(tmp_path, capsys, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.yaml").write_text(text)
    assert main(["ablate", "study.yaml"]) in (2, 3)
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown
    assert "trial 0" not in shown
    assert main(["ablate", "absent.yaml"]) == 2
    assert "absent.yaml" in capsys.readouterr().err
