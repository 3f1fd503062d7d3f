"""Arguments of wrappers and callbacks are searched like hyperparameters, and no task sees them."""

from __future__ import annotations

import re

import pytest
import torch

import nasplug as nas
from nasplug.contract.arguments import for_task
from nasplug.contract.errors import SpecError
from nasplug.export.bundle import read_bundle
from nasplug.plugins.component import Component
from nasplug.run.searched import check_arguments, with_arguments

PLUGIN = '''
import nasplug as nas
from torch import nn


@nas.hookimpl
def register(catalog):
    catalog.wrapper("headed", f"{__name__}:Headed", summary="Puts a hidden layer behind a network.")
    catalog.space("line", f"{__name__}:Line", summary="Linear classifiers.")
    catalog.callback("noting", f"{__name__}:Noting", summary="Logs its own argument.")


class Line(nas.ChoiceSpace):
    """A linear classifier, with or without bias."""

    def __init__(self):
        super().__init__("line", [nas.Choice("bias", (True, False))])

    def build(self, architecture, task):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, task.outputs, bias=architecture.genotype[0]))


class Headed:
    """Puts a hidden layer behind a network.

    Args:
        width: Width.
        activation: Name of a module of torch.nn.
    """

    def __init__(self, width: int = 3, activation: str = "ReLU") -> None:
        self.width, self.activation = width, activation

    @nas.hookimpl(wrapper=True)
    def build(self, run):
        network = yield
        size = run.task.outputs
        head = nn.Sequential(nn.Linear(size, self.width), getattr(nn, self.activation)(), nn.Linear(self.width, size))
        return nn.Sequential(network, head)


class Noting:
    """Logs its own argument.

    Args:
        level: What it logs.
    """

    def __init__(self, level: float = 0.0) -> None:
        self.level = level

    @nas.hookimpl
    def configure_callbacks(self, run):
        import pytorch_lightning as pl

        level = self.level

        class Note(pl.Callback):
            def on_validation_epoch_end(self, trainer, pl_module):
                pl_module.log("level", level)

        return [Note()]
'''


@pytest.fixture
def plugin(tmp_path):
    path = tmp_path / "headed_plugin.py"
    path.write_text(PLUGIN, encoding="utf-8")
    return path


def search(plugin, hyperparameters, **options):
    settings = {"trials": 6, "epochs": 1, "progress": False, "rehearse": False, "build": ["headed"], "seed": 3}
    return nas.search(
        nas.component("image_classification", limit=60, batch_size=30),
        space="line",
        plugins=[plugin],
        hyperparameters=hyperparameters,
        **{**settings, **options},
    )


WIDTHS = {"headed/width": [2, 5, 9]}


@pytest.mark.parametrize("workers", [1, 2])
def test_every_trial_has_plugins_of_its_own(plugin, workers):
    study = search(plugin, {**WIDTHS, "lr": [0.01, 0.02]}, costs=["params"], workers=workers)

    assert {trial.state for trial in study.trials} == {"complete"}
    for trial in study.trials:
        width, bias = trial.hyperparameters["headed/width"], trial.architecture.genotype[0][0]
        assert trial.costs["params"] == 640 + 10 * bias + 10 * width + width + 10 * width + 10
        assert trial.task_hyperparameters == {"lr": trial.hyperparameters["lr"]}
        assert study.network(trial)[1][0].out_features == width
    assert len({trial.hyperparameters["headed/width"] for trial in study.trials}) > 1


def test_arguments_of_callbacks(plugin):
    study = search(plugin, {"noting/level": [0.25, 0.75]}, build=[], callbacks=["noting"], trials=3)

    levels = [trial.hyperparameters["noting/level"] for trial in study.trials]
    assert [trial.metrics["level"] for trial in study.trials] == pytest.approx(levels)
    assert len(set(levels)) == 3


def test_a_bundle_and_a_longer_run_have_the_plugin_of_the_trial(plugin, tmp_path):
    storage = tmp_path / "study.sqlite"
    first = search(plugin, WIDTHS, trials=3, storage=storage)
    study = search(plugin, WIDTHS, trials=5, storage=storage)

    assert [trial.hyperparameters for trial in study.trials[:3]] == [trial.hyperparameters for trial in first.trials]
    trial = next(trial for trial in study.trials if trial.hyperparameters["headed/width"] != 3)
    study.export(tmp_path / "bundle", trial)
    images = torch.rand(4, 1, 8, 8)
    bundled = read_bundle(tmp_path / "bundle", trust=True).eval()
    assert torch.equal(bundled(images), study.network(trial).eval()(images))


@pytest.mark.parametrize(
    ("names", "options", "said"),
    [
        ({"headed/depth": [1, 2]}, {}, "depth"),
        ({"headed/width": ["wide", "narrow"]}, {}, "width"),
        ({"heated/width": [1, 2]}, {}, "'heated', which is not in `build` or `callbacks`.*headed"),
        ({"headed/width": [1, 2]}, {"build": []}, "not in `build` or `callbacks`"),
        ({"headed/width": [1, 2]}, {"build": ["headed", "headed"]}, "is there several times"),
    ],
)
def test_what_no_plugin_takes_is_refused_before_anything_runs(plugin, tmp_path, names, options, said):
    with pytest.raises(SpecError) as caught:
        search(plugin, names, storage=tmp_path / "study.sqlite", **options)

    assert re.search(said, str(caught.value), re.DOTALL)
    assert not (tmp_path / "study.sqlite").exists()


def test_an_object_has_no_arguments_to_search():
    with pytest.raises(SpecError, match="is an object, whose arguments cannot be changed"):
        check_arguments(["headed/width"], [(Component("headed"), False)])


def test_arguments_may_lie_deeper():
    component = Component("cgap", {"growth": {"seed": 0.25}, "pruning": None})

    made = with_arguments(component, {"cgap/growth.seed": 0.5, "cgap/growth.every": 2, "cgap2/growth.seed": 1, "lr": 1})

    assert made.args == {"growth": {"seed": 0.5, "every": 2}, "pruning": None}
    assert component.args["growth"] == {"seed": 0.25}
    with pytest.raises(SpecError, match="leads through 'pruning', which is not a mapping"):
        with_arguments(component, {"cgap/pruning.keep": 0.5})


def test_the_task_gets_the_rest():
    assert for_task({"lr": 0.1, "headed/width": 3}) == {"lr": 0.1}
