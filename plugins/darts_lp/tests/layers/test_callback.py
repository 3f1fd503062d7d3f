"""Schedules in a user's own Trainer."""

from __future__ import annotations

import pytest

pytest.importorskip("pytorch_lightning")

import pytorch_lightning as pl
import torch
from nasplug_darts_lp.layers.callback import QuantisationSchedule
from nasplug_darts_lp.layers.quantise import Quantise, quantise, quantised_layers
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import nasplug as nas
from nasplug.contract.errors import SpecError


class Module(pl.LightningModule):
    def __init__(self, network, as_dict=False):
        super().__init__()
        self.network, self.as_dict = network, as_dict
        self.losses = []

    def training_step(self, batch, _):
        loss = nn.functional.cross_entropy(self.network(batch[0]), batch[1])
        self.losses.append(float(loss.detach()))
        return {"loss": loss} if self.as_dict else loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.05)


class Watch(pl.Callback):
    """Notes what stage each epoch has, and the loss that is really optimised."""

    def __init__(self):
        self.stages, self.losses = [], []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        layers = list(quantised_layers(pl_module.network).values())
        bits = [layer.weight_bits for layer in layers]
        self.stages.append(bits if layers[0].integer else "float")
        self.losses.append(float(outputs["loss"]))


def network():
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU()
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))


def fit(module, *callbacks, epochs=4, **options):
    generator = torch.Generator().manual_seed(0)
    data = DataLoader(TensorDataset(torch.randn(8, 1, 8, 8, generator=generator), torch.arange(8) % 2), batch_size=8)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    trainer = pl.Trainer(
        max_epochs=epochs, callbacks=list(callbacks), **(quiet | {"enable_checkpointing": False} | options)
    )
    return trainer, data


def test_warm_up_then_falling_bits():
    watch = Watch()
    module = Module(quantise(network(), weight_bits=2, activation_bits=2, first_last_bits=6))
    trainer, data = fit(module, QuantisationSchedule(1, bits=[8, 4], epochs_per_stage=1), watch)
    trainer.fit(module, data)
    assert watch.stages == ["float", [8, 8, 8], [6, 4, 6], [6, 2, 6]]
    assert [layer.weight_bits for layer in quantised_layers(module.network).values()] == [6, 2, 6]


def test_in_plugins_behind_the_wrapper():
    """A Trainer of one's own: the wrapper quantises, the schedule leads."""
    watch, module = Watch(), Module(network())
    plugins = nas.Plugins(Quantise(weight_bits=2, activation_bits=2), QuantisationSchedule(1), watch)
    trainer, data = fit(module, plugins, epochs=2)
    trainer.fit(module, data)
    assert watch.stages == ["float", [8, 2, 8]]


@pytest.mark.parametrize("as_dict", [False, True])
def test_a_teacher_joins_the_loss(as_dict):
    teacher = network()
    watch, module = Watch(), Module(quantise(network(), weight_bits=2), as_dict)
    schedule = QuantisationSchedule(1, teacher=teacher, weight=0.5, temperature=1.0)
    trainer, data = fit(module, schedule, watch, epochs=2)
    seen = []
    module.network.register_forward_hook(lambda net, inputs, out: seen.append((inputs[0], out.detach())))
    trainer.fit(module, data)
    assert watch.losses[0] == pytest.approx(module.losses[0]), "no teacher in the warm-up"
    images, logits = seen[1]
    with torch.no_grad():
        wanted = teacher(images).softmax(-1)
    distance = (wanted * (wanted.log() - logits.log_softmax(-1))).sum(-1).mean()
    assert watch.losses[1] == pytest.approx(0.5 * module.losses[1] + 0.5 * float(distance), rel=1e-4)
    assert "training_step" not in module.__dict__, "taken out again"
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


def test_the_float_network_as_teacher():
    schedule, module = (
        QuantisationSchedule(1, teacher="float", weight=1.0, temperature=1.0),
        Module(quantise(network())),
    )
    judges = []

    class Look(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            judges.append(schedule._judge)

    trainer, data = fit(module, schedule, Look(), epochs=3)
    trainer.fit(module, data)
    assert judges[0] is None
    assert judges[1] is judges[2]
    assert not any(layer.integer for layer in quantised_layers(judges[1]).values())
    assert not torch.equal(judges[1][0].weight, module.network[0].weight), "it stays what it was"


def test_a_continued_training_goes_on_as_if_it_had_not_ended(tmp_path):
    def made():
        torch.manual_seed(3)
        net = quantise(network(), weight_bits=2, activation_bits=2, activations="lsq", weights="lsq")
        return Module(net), QuantisationSchedule(1, bits=[8, 4], teacher="float")

    module, schedule = made()
    trainer, data = fit(module, schedule, epochs=5)
    trainer.fit(module, data)
    first, schedule = made()

    class Stop(pl.Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            trainer.should_stop = trainer.current_epoch == 2

    checkpoint = pl.callbacks.ModelCheckpoint(tmp_path, save_last=True)
    trainer, data = fit(first, schedule, Stop(), checkpoint, epochs=5, enable_checkpointing=True)
    trainer.fit(first, data)
    second, schedule = made()
    trainer, data = fit(second, schedule, epochs=5)
    trainer.fit(second, data, ckpt_path=str(tmp_path / "last.ckpt"), weights_only=False)
    for name, value in module.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name]), name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"warmup_epochs": -1}, "warmup_epochs"),
        ({"bits": [9]}, "1 to 8"),
        ({"weight": 2.0}, "share"),
        ({"temperature": 0.0}, "temperature"),
        ({"teacher": "flaot"}, "did you mean 'float'"),
        ({"epochs_per_stage": 0}, "at least 1"),
    ],
)
def test_mistakes_are_named(arguments, message):
    with pytest.raises(SpecError, match=message):
        QuantisationSchedule(**arguments)


def test_what_cannot_work_is_refused_before_training():
    for module, schedule, message in (
        (Module(network()), QuantisationSchedule(), "not quantised"),
        (Module(quantise(network())), QuantisationSchedule(2, bits=[8, 4]), "before the final bits"),
        (Module(quantise(network())), QuantisationSchedule(attribute="net"), "attribute="),
    ):
        trainer, data = fit(module, schedule)
        with pytest.raises(SpecError, match=message):
            trainer.fit(module, data)


def test_a_teacher_of_other_classes_is_named():
    module = Module(quantise(network()))
    trainer, data = fit(module, QuantisationSchedule(teacher=nn.Sequential(nn.Flatten(), nn.Linear(64, 3))), epochs=1)
    with pytest.raises(SpecError, match=r"\(8, 3\)"):
        trainer.fit(module, data)
