"""Bad input of `shrink`, in Python and on the command line: one message with a way out, before anything trains."""

from __future__ import annotations

import pytest
import torch
from nasplug_reduction import shrink
from torch.utils.data import DataLoader, TensorDataset

import nasplug as nas
from nasplug.cli import main
from nasplug.contract.errors import NasplugError


class Loud(nas.Tracker):
    """Fails when a trial is handed out."""

    def submitted(self, trial):
        raise AssertionError("something trains")


def refused(project, **changes):
    """What `shrink` says, as one line."""
    given = {"model": "own_project:Lit", "weights": str(project / "w.ckpt"), "data": "own_project.Data", "keep": 0.5}
    given |= {"epochs": 0, "trackers": [Loud()], "progress": False, **changes}
    with pytest.raises(NasplugError) as caught:
        shrink(given.pop("model"), given.pop("weights"), given.pop("data"), **given)
    return " ".join(str(caught.value).split())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"keep": 0}, ["keep of params must lie between 0 and 1, got 0", "write a share such as 0.25"]),
        ({"keep": 1}, ["between 0 and 1, got 1"]),
        ({"keep": 1.5}, ["between 0 and 1, got 1.5"]),
        ({"keep": float("nan")}, ["between 0 and 1, got nan"]),
        ({"keep": "a"}, ["expected numbers by cost, got 'a'", "write 0.25 or {macs: 0.5}"]),
        ({"keep": True}, ["expected a number for 'params', got True"]),
        ({"keep": {"macs": "half"}}, ["expected a number for 'macs', got 'half'"]),
        ({"keep": {"parms": 0.5}}, ["nothing answers 'parms'", "did you mean 'params'?"]),
        ({"keep": None}, ["there is no budget", "give keep: 0.25"]),
        ({"keep": None, "at_most": 1000}, ["expected numbers by cost, got 1000", "write {params: 100000}"]),
        ({"keep": None, "at_most": {"params": -1}}, ["at_most of params must be a finite number > 0, got -1"]),
        ({"keep": None, "at_most": {"params": float("inf")}}, ["finite number > 0, got inf"]),
        ({"keep": 0.001}, ["no network of the space has params <= ", "the smallest one has", "or more"]),
        ({"keep": None, "at_most": {"params": 10}}, ["no network of the space has params <= 10", "allow at least"]),
        ({"model": 3}, ["expected a model, got int", "timm:NAME"]),
        ({"model": "own_projet:Lit"}, ["cannot import 'own_projet:Lit'", "did you mean 'own_project'?"]),
        ({"model": "own_project:Lti"}, ["cannot import 'own_project:Lti'", "did you mean 'Lit'?"]),
        ({"model": "Lit"}, ["cannot import 'Lit'", "write package.module:Name"]),
        ({"model": "own_project:images"}, ["own_project:images cannot be made", "--set NAME=VALUE"]),
        ({"model": "own_project:PROJECT_NAME"}, ["cannot import"]),
        ({"model": "timm:resnet1", "data": "digits"}, ["timm has no model 'resnet1'", "did you mean 'resnet"]),
        ({"weights": None}, ["own_project:Lit has no trained weights", "--weights FILE"]),
        ({"weights": "absent.ckpt"}, ["there is no weights file 'absent.ckpt'", "relative paths start in"]),
        ({"weights": "JUNK"}, ["cannot read the weights", "not a file of torch weights", "state_dict"]),
        ({"weights": "OTHER"}, ["are not those of own_project:Lit", "is missing in the file"]),
        ({"data": "own_project.Dta"}, ["cannot import 'own_project.Dta'", "did you mean 'Data'?"]),
        ({"data": "nowhere"}, ["there is no data 'nowhere'", "known:"]),
        ({"data": 3}, ["cannot train on 3", "give a LightningDataModule"]),
        ({"metric": "val_acx"}, ["does not log 'val_acx'", "it logs", "did you mean 'val_acc'?"]),
        ({"metric": 3}, ["expected the name of a metric, got 3"]),
        ({"strategy": "reduction.greddy"}, ["there is no strategy 'reduction.greddy'", "'reduction.greedy'"]),
        ({"strategy": 3}, ["expected the name of a strategy, got int", "reduction.greedy"]),
        ({"strategy": nas.component("reduction.greedy", stps=3)}, ["no argument 'stps'", "did you mean 'steps'?"]),
        ({"target": "cpv"}, ["there is no target 'cpv'", "did you mean 'cpu'?"]),
        ({"space": {"blocs": False}}, ["no setting 'blocs'", "did you mean 'blocks'?"]),
        ({"space": {"widths": {"lest": 1}}}, ["there is no 'lest'", "did you mean 'least'?"]),
        ({"space": {"widths": {"least": "a"}}}, ["least is 'a'", "positive integer"]),
        ({"space": {"widths": {"least": 1000}}}, ["narrower channels alone do not reach the budget", "--least 1"]),
        ({"space": {"importance": "taylor"}}, ["there is no importance 'taylor'", "magnitude"]),
        ({"space": {"recalibrate": -1}}, ["recalibrate is -1", "0 for none"]),
        ({"space": {"operators": "kernel"}}, ["expected a list of substitutions, got 'kernel'"]),
        ({"space": {"resolutions": 0.5}}, ["expected a list of shares, got 0.5"]),
        ({"space": {"resolutions": ["a"]}}, ["between 0 and 1, got 'a'"]),
        ({"space": {"arguments": {"widht": 8}}}, ["'widht' is not an argument", "did you mean 'width'?"]),
        ({"space": {"network_attribute": "nett"}}, ["has no part 'nett'", "did you mean 'net'?"]),
        ({"space": {"inputs": [1, 8, 8]}}, ["cannot take an input of shape (1, 8, 8)", "3 channels"]),
        ({"training": {"lrr": 0.1}}, ["names 'lrr', which the module does not take", "did you mean 'lr'?"]),
    ],
)
def test_one_message_before_anything_trains(project, tmp_path, changes, words):
    (tmp_path / "junk.pt").write_bytes(b"hello")
    torch.save({"a": torch.zeros(3)}, tmp_path / "other.pt")
    files = {"JUNK": str(tmp_path / "junk.pt"), "OTHER": str(tmp_path / "other.pt")}
    if changes.get("weights") in files:
        changes = {"weights": files[changes["weights"]]}
    said = refused(project, **changes)
    for each in words:
        assert each in said, said


def loaders(*tensors):
    loader = DataLoader(TensorDataset(*tensors), 16)
    return loader, loader


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ((torch.rand(16, 3, 8, 8),), ["the data have no labels", "a list of 1", "give pairs (inputs, classes)"]),
        ((torch.rand(16, 3, 8, 8), torch.rand(16)), ["the labels are not classes", "float32 of shape (16,)"]),
        ((torch.rand(16, 3, 8, 8), torch.full((16,), 7)), ["tells 3 classes apart", "have class 7"]),
        ((torch.rand(16, 3, 8, 8), torch.full((16,), -1)), ["tells 3 classes apart", "have class -1"]),
        ((torch.rand(0, 3, 8, 8), torch.zeros(0).long()), ["there is no training data", "gives no batch"]),
        ((torch.rand(16, 1, 8, 8), torch.zeros(16).long()), ["cannot take an input of shape (1, 8, 8)"]),
    ],
)
def test_data_of_a_plain_network(project, tensors, words):
    said = refused(project, model="own_project:plain", weights=str(project / "plain.pt"), data=loaders(*tensors))
    for each in words:
        assert each in said, said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--keep", "a"], "invalid float value: 'a'"),
        (["--keep", "0"], "keep of params must lie between 0 and 1, got 0"),
        (["--keep", "0.5", "--operators", "grouped"], "there is no substitution 'grouped'"),
        (["--keep", "0.5", "--resolutions", "2"], "between 0 and 1, got 2"),
        (["--keep", "0.5", "--retain", "best"], "cannot keep 'best'"),
        (["--keep", "0.5", "--onnx", "FILE/small.onnx"], "--onnx: cannot write"),
        (["--target", "cpu", "--energy", "2mJ"], "nothing answers 'cpu/energy_j'"),
    ],
)
def test_the_command(project, tmp_path, capsys, words, message):
    (tmp_path / "file").write_text("not a folder")
    words = [word.replace("FILE", str(tmp_path / "file")) for word in words]
    given = ["own_project:Lit", "--weights", str(project / "w.ckpt"), "--data", "own_project.Data"]
    code = main(["shrink", *given, *words, "--out", str(tmp_path / "out")])
    shown = capsys.readouterr().err
    assert code in (2, 3)
    assert message in shown
    assert "Traceback" not in shown
    assert "trial 0" not in shown
