"""Plugins in a user's own Trainer, with real fits on real images."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger
from torch import nn

import nasplug as nas
from nasplug.builtin.counts import Params
from nasplug.contract.errors import PluginError, SpecError, UnknownNameError
from nasplug.lightning.plugins import Plugins

FILE = Path(__file__).parents[1] / "support" / "trainer_plugin.py"


@pytest.fixture
def project(monkeypatch):
    monkeypatch.syspath_prepend(str(FILE.parent))
    return importlib.import_module("user_project")


class Curve(Callback):
    """What the module logged, per epoch."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch:
            self.rows.append({name: float(value) for name, value in trainer.callback_metrics.items()})

    def on_fit_end(self, trainer, pl_module):
        self.rows.append({name: float(value) for name, value in trainer.callback_metrics.items()})


@pytest.fixture
def fit(project, tmp_path):
    """Fits the user's module as the user would, and returns everything there is to look at."""

    def run(*plugins, epochs=2, callbacks=(), logger=False, module=None, ckpt_path=None, **options):
        torch.manual_seed(0)
        if module is None:
            module = project.LitDigits(nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10)))
        ours, curve = Plugins(*plugins, files=[FILE], **options), Curve()
        trainer = pl.Trainer(
            max_epochs=epochs,
            callbacks=[ours, curve, *callbacks],
            logger=logger,
            accelerator="cpu",
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=any(isinstance(item, ModelCheckpoint) for item in callbacks),
            default_root_dir=tmp_path,
        )
        trainer.fit(module, datamodule=project.DigitsData(), ckpt_path=ckpt_path, weights_only=bool(ckpt_path) or None)
        return trainer, module, curve.rows

    return run


PARAMS = 64 * 8 + 8 + 8 * 10 + 10


def test_costs_are_logged_every_epoch(fit):
    _, _, rows = fit("params", "macs", epochs=3)
    assert [row["params"] for row in rows] == [PARAMS] * 3
    assert rows[0]["macs"] == 64 * 8 + 8 * 10


def test_whatever_logger_the_user_has_gets_them(fit, tmp_path):
    fit("params", logger=CSVLogger(tmp_path, name="mine"))
    (path,) = (tmp_path / "mine").rglob("metrics.csv")
    header, *lines = path.read_text().splitlines()
    column = header.split(",").index("params")
    assert [line.split(",")[column] for line in lines if line.split(",")[column]] == [f"{PARAMS:.1f}"] * 2


def test_one_name_is_used_as_everything_it_is_registered_as(fit):
    trainer, _, rows = fit(nas.component("grow", at=1, factor=2.0), epochs=4)
    # Two layers, three after the second epoch; priced anew only then, logged always.
    assert [row["grow/layers"] for row in rows] == [4.0, 6.0, 6.0, 6.0]
    assert [row["grow/asked"] for row in rows] == [1.0, 2.0, 2.0, 2.0]
    (grow,) = [callback for callback in trainer.callbacks if type(callback).__name__ == "Grow"]
    assert (grow.setups, grow.epochs) == (1, 4)


def test_costs_of_trained_weights_are_asked_every_epoch(fit):
    _, _, rows = fit("norm", epochs=3)
    assert len({row["norm"] for row in rows}) == 3


def test_a_wrapper_transforms_the_network_once(fit, project):
    trainer, module, _ = fit(nas.component("scale", by=0.5))
    assert type(module.network).__name__ == "Scaled"
    assert module.network.by == 0.5
    assert isinstance(module.network.inner, nn.Sequential)
    trainer.validate(module, datamodule=project.DigitsData(), verbose=False)
    assert isinstance(module.network.inner, nn.Sequential)


def test_targets_by_name_by_argument_and_by_component(fit):
    _, _, rows = fit("cpu:repeats=3", "params", epochs=1)
    assert rows[0]["cpu/latency_s"] > 0
    _, _, rows = fit("params", target="cpu:repeats=3", epochs=1)
    assert rows[0]["cpu/latency_s"] > 0
    _, _, rows = fit(nas.component("target", target="cpu:repeats=3"), epochs=1)
    assert {name for name in rows[0] if name.startswith("cpu/")} == {"cpu/latency_s", "cpu/latency_p90_s"}


def test_the_input_shape_is_the_users_word_first(fit, project):
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))
    macs = [9 * 4 * side * side + 40 for side in (6, 8, 30)]
    _, _, rows = fit("macs", module=project.LitDigits(network), epochs=1)
    assert rows[0]["macs"] == macs[0]
    module = project.LitDigits(network)
    module.example_input_array = torch.zeros(2, 1, 10, 10)
    _, _, rows = fit("macs", module=module, epochs=1)
    assert rows[0]["macs"] == macs[1]
    _, _, rows = fit("macs", module=module, epochs=1, input_shape=(1, 32, 32))
    assert rows[0]["macs"] == macs[2]


def test_a_stopper_ends_the_training_and_does_not_raise(fit):
    trainer, _, rows = fit(nas.component("after", epochs=2), epochs=6, objectives={"val_acc": "max"})
    assert len(rows) == 2
    assert trainer.should_stop


def test_patience_in_a_users_trainer(fit):
    component = nas.component("patience", epochs=2, min_delta=10.0)  # nothing ever improves by ten
    _, _, rows = fit(component, epochs=9, objectives={"val_acc": "max"})
    assert len(rows) == 3


@pytest.mark.parametrize("name", ["broken", "thief"])
def test_a_cost_that_fails_is_named_and_left_out(fit, name):
    with pytest.warns(UserWarning, match=f"the cost '{name}' is no longer logged"):
        _, _, rows = fit("params", name, epochs=2)
    assert [row["params"] for row in rows] == [PARAMS] * 2


def test_state_of_callbacks_and_stoppers_goes_through_the_users_checkpoint(fit, tmp_path):
    parts = (nas.component("grow", at=99), nas.component("after", epochs=3))
    checkpoint = ModelCheckpoint(tmp_path / "kept", save_last=True)
    fit(*parts, epochs=2, objectives={"val_acc": "max"}, callbacks=[_PlainHyperparameters(), checkpoint])
    trainer, _, _ = fit(*parts, epochs=9, objectives={"val_acc": "max"}, ckpt_path=str(tmp_path / "kept" / "last.ckpt"))
    (grow,) = [callback for callback in trainer.callbacks if type(callback).__name__ == "Grow"]
    assert grow.epochs == 3  # two before, one after; the stopper counted on as well
    assert trainer.current_epoch == 3


class _PlainHyperparameters(Callback):
    def on_save_checkpoint(self, trainer, pl_module, checkpoint):
        checkpoint.pop("hyper_parameters", None)


def test_callbacks_of_plugins_come_right_behind(fit):
    trainer, _, _ = fit("params", "median", callbacks=[Curve()], objectives={"val_acc": "max"})
    at = next(i for i, callback in enumerate(trainer.callbacks) if isinstance(callback, Plugins))
    own = trainer.callbacks[at].callbacks
    assert own
    assert trainer.callbacks[at + 1 : at + 1 + len(own)] == own
    assert [isinstance(callback, Curve) for callback in trainer.callbacks[at + 1 + len(own) :]][:2] == [True, True]


def test_instances(fit):
    curve = Curve()
    _, _, rows = fit(Params(), curve, {"class_path": "nasplug.builtin.counts.Macs"}, epochs=1)
    assert rows[0]["params"] == PARAMS
    assert rows[0]["macs"] > 0
    assert curve.rows == rows


@pytest.mark.parametrize(
    ("parts", "options", "error", "says"),
    [
        (("prams",), {}, UnknownNameError, "did you mean 'params'"),
        ((nas.component("grow", att=1),), {}, SpecError, "did you mean 'at'"),
        (("after",), {}, SpecError, "objectives="),
        ((Params,), {}, SpecError, "make an instance"),
        ((object(),), {}, PluginError, "neither"),
        (("params",), {"target": "cpu:batch=1"}, SpecError, "did you mean 'batch_size'"),
        (("params",), {"target": "gpu"}, UnknownNameError, "no target 'gpu'"),
    ],
)
def test_mistakes_are_refused_when_composed(parts, options, error, says):
    with pytest.raises(error, match=says):
        Plugins(*parts, files=[FILE], **options)


def test_a_module_whose_network_has_another_name(fit, project):
    with pytest.raises(SpecError, match="network_attribute"):
        fit("params", network_attribute="net")


def test_nas_plugins_is_the_public_name():
    assert nas.Plugins is Plugins
    assert json.dumps(sorted(nas.__all__)).count('"Plugins"') == 1
