"""Quantisation that begins in the middle of a training."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch
from nasplug_darts_lp.layers.after import QuantiseAfter
from nasplug_darts_lp.layers.quantise import exchange, quantise, quantised_layers, quantisers
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import nasplug as nas
from nasplug.contract.errors import SpecError


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()),
        *(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)),
    )


class Module(pl.LightningModule):
    def __init__(self, given=None):
        super().__init__()
        self.network = given or network()

    def training_step(self, batch, index):
        return nn.functional.cross_entropy(self.network(batch[0]), batch[1])

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=0.01)
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 4)]

    def train_dataloader(self):
        x = torch.randn(32, 1, 6, 6, generator=torch.Generator().manual_seed(1))
        return DataLoader(TensorDataset(x, (x.mean((1, 2, 3)) > 0).long()), batch_size=8)


def trainer(folder, epochs, *callbacks):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    return pl.Trainer(max_epochs=epochs, callbacks=list(callbacks), default_root_dir=folder, **quiet)


class Stages(pl.Callback):
    def __init__(self):
        self.seen = []

    def on_train_batch_end(self, trainer, module, *_):
        self.seen.append((trainer.current_epoch, bool(quantised_layers(module.network))))


def test_layers_are_exchanged_in_place_and_their_quantisers_trained(tmp_path):
    module, watch = Module(), Stages()
    own, convolution = module.network, module.network[0].weight
    trainer(tmp_path, 4, nas.Plugins(QuantiseAfter(2, weight_bits=2)), watch).fit(module)
    assert dict(watch.seen) == {0: False, 1: False, 2: True, 3: True}
    assert module.network is own
    assert module.network[0].weight is convolution, "the optimizer holds it"
    assert [layer.weight_bits for layer in quantised_layers(own).values()] == [8, 2, 8]
    (optimizer,) = [module.optimizers()] if not isinstance(module.optimizers(), list) else module.optimizers()
    held = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
    trained = [weight for quantiser in quantisers(own) for weight in quantiser.parameters()]
    assert trained
    assert all(id(weight) in held for weight in trained)
    fresh = dict(quantise(network(), weight_bits=2).named_parameters())
    moved = [name for name, weight in own.named_parameters() if "quantiser" in name and (weight != fresh[name]).any()]
    assert moved, "quantisers learn"


def test_a_checkpoint_resumes_before_and_after(tmp_path):
    whole = Module()
    trainer(tmp_path / "whole", 4, nas.Plugins(QuantiseAfter(2))).fit(whole)
    for at in (1, 3):

        class Stop(pl.Callback):
            def on_train_epoch_end(self, trainer, module, at=at):
                trainer.should_stop = trainer.current_epoch + 1 >= at

        first = trainer(tmp_path / f"first{at}", 4, nas.Plugins(QuantiseAfter(2)), Stop())
        first.fit(Module())
        first.save_checkpoint(tmp_path / "last.ckpt")
        second = Module()
        trainer(tmp_path / f"second{at}", 4, nas.Plugins(QuantiseAfter(2))).fit(
            second, ckpt_path=tmp_path / "last.ckpt", weights_only=True
        )
        mine, theirs = second.state_dict(), whole.state_dict()
        assert mine.keys() == theirs.keys()
        for name, value in mine.items():
            torch.testing.assert_close(
                value, theirs[name], msg=lambda text, at=at, name=name: f"{name} from {at}: {text}"
            )


def test_a_trial_has_the_quantised_network(tmp_path):
    study = nas.search(
        nas.ImageClassification(limit=120, batch_size=20),
        space=nas.component("cgap.resnet", blocks=[1], widths=[4], stem_stride=2),
        callbacks=[QuantiseAfter(1, weight_bits=3, options={"squeeze": "sample"})],
        objectives={"val_acc": "max"},
        trials=1,
        epochs=2,
        storage=tmp_path / "s.sqlite",
        progress=False,
    )
    (trial,) = study.trials
    assert trial.state == "complete", trial.failure
    assert [edit["by"] for edit in trial.edits] == ["darts_lp.quantise_after"]
    bits = [layer.weight_bits for layer in quantised_layers(study.network(trial)).values()]
    assert bits[0] == bits[-1] == 8
    assert set(bits[1:-1]) == {3}


def test_exchange_keeps_weights_and_says_what_quantise_says():
    first, second = network(), network()
    copied = quantise(second, weight_bits=4)
    assert exchange(first, weight_bits=4) is first
    assert not quantised_layers(second)
    x = torch.randn(2, 1, 6, 6)
    assert torch.equal(first.train()(x), copied.train()(x))


def test_what_cannot_be_is_refused(tmp_path):
    with pytest.raises(SpecError, match="epochs must be >= 0"):
        QuantiseAfter(-1)
    with pytest.raises(SpecError, match="bits"):
        QuantiseAfter(1, weight_bits=9)
    with pytest.raises(SpecError, match="ends after 2 epochs, before the network is quantised"):
        trainer(tmp_path, 2, nas.Plugins(QuantiseAfter(2))).fit(Module())
    with pytest.raises(SpecError, match="quantised already"):
        trainer(tmp_path, 4, nas.Plugins(QuantiseAfter(2))).fit(Module(quantise(network())))
    assert QuantiseAfter(1).edit(network(), {"by": "somebody"}) is None
