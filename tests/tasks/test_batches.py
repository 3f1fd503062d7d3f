from __future__ import annotations

import pickle

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import nasplug as nas
from nasplug.contract.errors import TaskError
from nasplug.contract.io import Inputs
from nasplug.tasks.batches import inputs_of_data

TOKENS, MASK = torch.arange(96).reshape(8, 12) % 50, torch.ones(8, 12, dtype=torch.bool)
IMAGES, LABELS = torch.rand(8, 3, 6, 5), torch.arange(8) % 3
WORDS = {"shape": [12], "dtype": "int64", "high": 50}
BOTH = {"tokens": WORDS, "mask": {"shape": [12], "dtype": "bool"}}


class Dicts(Dataset):
    def __init__(self, **tensors):
        self.tensors = tensors

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return {name: value[index] for name, value in self.tensors.items()}


class Nested(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        return {"tokens": TOKENS[index], "mask": MASK[index]}, LABELS[index]


class Embeds(nas.ChoiceSpace):
    def __init__(self, named=False):
        super().__init__("embeds", [nas.Choice("width", (2, 3))])
        self.named = named

    def build(self, architecture, task):
        (width,) = architecture.genotype
        return Bag(width, task.outputs, self.named)


class Bag(nn.Module):
    def __init__(self, width, outputs, named):
        super().__init__()
        self.words, self.head, self.named = nn.Embedding(50, width), nn.Linear(width, outputs), named

    def forward(self, tokens, mask=None):
        vectors = self.words(tokens)
        return self.head((vectors * mask[..., None].float()).sum(1) if self.named else vectors.mean(1))


class Lit(pl.LightningModule):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def training_step(self, batch, _):
        inputs, labels = batch
        logits = self.network(**inputs) if isinstance(inputs, dict) else self.network(inputs)
        return nn.functional.cross_entropy(logits, labels)

    def validation_step(self, batch, _):
        self.log("val_loss", self.training_step(batch, _))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def task(*tensors, dataset=None, **more) -> nas.LightningTask:
    loader = DataLoader(dataset or TensorDataset(*tensors), 8)
    return nas.LightningTask(Lit, (loader, loader), outputs=3, objectives={"val_loss": "min"}, **more)


@pytest.mark.parametrize(
    ("given", "inputs"),
    [
        (task(IMAGES, LABELS), (3, 6, 5)),
        (task(IMAGES), (3, 6, 5)),
        (task(TOKENS, LABELS), WORDS),
        (task(dataset=Nested()), BOTH),
        (task(dataset=Dicts(image=IMAGES, label=LABELS)), (3, 6, 5)),
        (
            task(dataset=Dicts(tokens=TOKENS, mask=MASK, labels=LABELS)),
            BOTH,
        ),
        (task(IMAGES, MASK, LABELS, example_input=(IMAGES, MASK)), [[3, 6, 5], {"shape": [12], "dtype": "bool"}]),
        (task(IMAGES, example_input=IMAGES), (3, 6, 5)),
        (task(IMAGES, example_input={"tokens": TOKENS}), {"tokens": WORDS}),
    ],
)
def test_inputs_come_from_an_example_or_a_batch(given, inputs):
    state = torch.get_rng_state()
    assert given.inputs == Inputs.of(inputs)
    assert given.input_shape == given.inputs.shape
    assert torch.equal(state, torch.get_rng_state())
    assert pickle.loads(pickle.dumps(given)).inputs == given.inputs


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (task(IMAGES, MASK, LABELS), r"a list of 3, and not a pair[\s\S]*example_input"),
        (task(dataset=Dicts(image=IMAGES, kind=LABELS)), r"a dict of 2, and not a pair"),
        (nas.LightningTask(Lit, DataLoader([], 2), outputs=3), "no batch"),
    ],
)
def test_a_batch_that_does_not_say_it(given, message):
    with pytest.raises(TaskError, match=message):
        given.inputs  # noqa: B018


@pytest.mark.parametrize("example", ["text", (), {}, (IMAGES, "text"), (IMAGES, LABELS[:3])])
def test_an_example_that_is_none(example):
    with pytest.raises(TaskError, match=r"example_input"):
        task(IMAGES, example_input=example)


def test_data_that_cannot_be_read_say_why():
    class Broken(pl.LightningDataModule):
        def setup(self, stage):
            raise FileNotFoundError("data/train.csv")

    with pytest.raises(TaskError, match=r"cannot be read[\s\S]*data/train.csv"):
        inputs_of_data(Broken(), "T")


@pytest.mark.parametrize("named", [False, True])
def test_costs_and_exports_follow_the_batch(tmp_path, named):
    given = task(dataset=Nested()) if named else task(TOKENS, LABELS)
    study = nas.search(
        given,
        space=Embeds(named),
        trials=2,
        costs=["params", "macs", "target"],
        target="cpu",
        storage=tmp_path / "s.sqlite",
        progress=False,
    )
    first = study.trials[0]
    assert first.state == "complete", first.failure
    width = first.architecture.genotype[0]
    assert first.costs["params"] == 50 * width + 3 * width + 3
    assert first.costs["macs"] >= 3 * width
    assert first.costs["cpu/latency_s"] > 0


def test_params_need_no_inputs_and_wrong_ones_are_corrected():
    wrong = nas.LightningTask(Lit, (DataLoader(TensorDataset(TOKENS, LABELS), 8),) * 2, (12,), 3, {"val_loss": "min"})
    assert nas.search(wrong, space=Embeds(), trials=1, costs=["params"], progress=False).trials[0].costs["params"] > 0
    with pytest.raises(TaskError, match=r"calls the network with an input of shape \(12,\), int64.*inputs=\{'shape'"):
        nas.search(wrong, space=Embeds(), trials=1, costs=["macs"], progress=False)


def test_plugins_in_ones_own_trainer_take_an_example():
    plugins = nas.Plugins("params", "macs", example_input={"tokens": TOKENS, "mask": MASK})
    trainer = pl.Trainer(
        max_epochs=1, accelerator="cpu", callbacks=[plugins], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(Lit(Bag(4, 3, True)), DataLoader(Nested(), 8))
    assert float(trainer.callback_metrics["macs"]) >= 12
    with pytest.raises(TaskError, match="both given"):
        nas.Plugins("params", input_shape=(3,), example_input=TOKENS)
