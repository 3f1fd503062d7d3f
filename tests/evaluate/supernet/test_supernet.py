"""Tests of `nasplug.evaluate.supernet`: one training for all trials of a space of a user's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import nasplug as nas
from nasplug.evaluate.supernet.evaluator import SupernetEvaluator
from nasplug.evaluate.supernet.network import SharedNetwork
from nasplug.evaluate.supernet.sharing import fill, memories, places, remember
from nasplug.evaluate.supernet.training import Drawing
from nasplug.plugins.discovery import discover
from nasplug.run.alone import alone
from nasplug.run.spec import RunSpec
from nasplug.testing import EvaluatorConformance, outcome, run_search


class Layers(nas.ChoiceSpace):
    """Two convolutions, of a kernel and a width each; the second may be left out."""

    def __init__(self):
        super().__init__(
            "layers",
            [nas.Choice("kernel", (1, 3)), nas.Choice("width", (2, 4, 6)), nas.Choice("second", (False, True))],
        )

    def build(self, architecture, task):
        kernel, width, second = architecture.genotype
        network = nn.Sequential()
        network.add_module("first", nn.Conv2d(task.input_shape[0], width, kernel, padding=kernel // 2))
        network.add_module("norm", nn.BatchNorm2d(width))
        if second:
            network.add_module("second", nn.Conv2d(width, width, 3, padding=1))
        head = (nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, task.outputs))
        network.add_module("head", nn.Sequential(*head))
        return network


class Reversed(Layers):
    """The same, in which narrow layers have the last channels of wide ones."""

    def shared(self, architecture, network):
        width = architecture.genotype[1]
        return {"norm.weight": ("norm.scale", {0: range(6 - width, 6)})}


def task():
    return nas.ImageClassification(limit=60, batch_size=16)


def shared(space=None):
    return SharedNetwork(space or Layers(), task(), np.random.default_rng(0))


class TestConformance(EvaluatorConformance):
    def make_evaluator(self):
        return SupernetEvaluator(epochs=1, recalibrate=2)

    def make_space(self):
        return Layers()

    def make_task(self):
        return task()


def test_layers_of_one_name_and_kernel_are_one_tensor_as_wide_as_the_widest():
    sizes = {key: tuple(value.shape) for key, value in shared().state().items()}

    assert sizes["first.weight Conv2d 4 1x1"] == (6, 1, 1, 1)
    assert sizes["first.weight Conv2d 4 3x3"] == (6, 1, 3, 3)
    assert sizes["second.weight Conv2d 4 3x3"] == (6, 6, 3, 3)
    assert sizes["norm.weight BatchNorm2d 1"] == (6,)
    assert sizes["head.3.weight Linear 2"] == (10, 6)
    assert len(sizes) == 9


def test_a_candidate_computes_with_its_part_and_gradients_reach_no_other():
    network = shared()
    space = Layers()
    network.choose(space.architecture([3, 2, False]))
    images = torch.rand(4, 1, 8, 8)

    network(images).sum().backward()

    gradients = {key: tensor.grad for key, tensor in zip(network.keys, network.shared, strict=True)}
    assert gradients["first.weight Conv2d 4 1x1"] is None
    assert gradients["second.weight Conv2d 4 3x3"] is None
    assert not gradients["head.3.weight Linear 2"][:, 2:].any()
    assert gradients["head.3.weight Linear 2"][:, :2].any()
    small = space.build(space.architecture([3, 2, False]), task())
    fill(small, places(space, space.architecture([3, 2, False]), small), network.state())
    assert torch.allclose(small.train()(images), network.train()(images))


def test_every_layer_begins_as_layers_of_torch_do():
    state = shared().state()

    assert state["norm.weight BatchNorm2d 1"].tolist() == [1.0] * 6
    assert state["norm.bias BatchNorm2d 1"].tolist() == [0.0] * 6
    assert 0.02 < float(state["second.weight Conv2d 4 3x3"].std()) < 0.5


def test_the_largest_and_the_smallest_network_are_known():
    network = shared()

    assert network.largest.genotype == (3, 6, True)
    assert network.smallest.genotype == (1, 2, False)


def test_a_space_may_say_what_is_shared():
    space = Reversed()
    network = shared(space)
    with torch.no_grad():
        dict(network.state())["norm.scale BatchNorm2d 1"].copy_(torch.arange(6.0))
    small = space.build(space.architecture([1, 2, False]), task())

    fill(small, places(space, space.architecture([1, 2, False]), small), network.state())

    assert small.norm.weight.tolist() == [4.0, 5.0]


class Counting(nn.Module):
    """Remembers how often it has computed."""

    def __init__(self):
        super().__init__()
        self.register_buffer("times", torch.zeros(()))
        self.register_buffer("alone", torch.zeros(()))

    def forward(self, x):
        self.times += 1
        self.alone += 1
        return x


class Remembering(Layers):
    """The same with layers that remember something; one buffer is that of all networks."""

    def build(self, architecture, task):
        network = super().build(architecture, task)
        network.add_module("counting", Counting())
        return network

    def shared(self, architecture, network):
        return {"counting.times": ("times", {})}


def test_buffers_that_a_space_names_are_those_of_all_networks():
    space = Remembering()
    network = shared(space)
    for width in (2, 4, 6):
        network.choose(space.architecture([1, width, False]))
        network(torch.rand(2, 1, 8, 8))
    architecture = space.architecture([3, 2, True])
    alone = space.build(architecture, task())

    remember(alone, memories(space, architecture, alone), network.state() | network.remembered)

    assert float(alone.counting.times) == 3
    assert float(alone.counting.alone) == 0


def test_a_grouped_and_a_full_convolution_are_two():
    class Grouped(Layers):
        def build(self, architecture, task):
            network = super().build(architecture, task)
            if architecture.genotype[2]:
                width = architecture.genotype[1]
                network.second = nn.Conv2d(width, width, 3, padding=1, groups=width)
            return network

    keys = []
    for space in (Layers(), Grouped()):
        architecture = space.architecture([3, 4, True])
        found = places(space, architecture, space.build(architecture, task()))
        keys.append(found["second.weight"].key)
    assert keys == ["second.weight Conv2d 4 3x3", "second.weight Conv2d grouped 4 3x3"]


def test_a_layer_that_was_not_trained_is_named():
    space = Layers()
    network = space.build(space.architecture([3, 2, True]), task())
    weights = {key: value for key, value in shared().state().items() if not key.startswith("second")}

    with pytest.raises(nas.errors.TrialError, match=r"no weights for 'second.weight' of shape \[2, 2, 3, 3\]"):
        fill(network, places(space, space.architecture([3, 2, True]), network), weights)


def test_a_sandwich_has_the_largest_and_the_smallest_in_every_step():
    chosen = []

    class Network:
        largest, smallest = "largest", "smallest"

        def choose(self, architecture):
            chosen.append(architecture)

        def draw(self):
            chosen.append("random")

    drawing = Drawing(Network(), sandwich=True, paths=4)
    for index in range(6):
        drawing.on_train_batch_start(None, None, None, index)
    assert chosen == ["largest", "smallest", "random", "random", "largest", "smallest"]


@pytest.mark.parametrize("sampling", ["single_path", "sandwich"])
def test_all_trials_share_one_training(sampling, tmp_path):
    options = {
        "space": Layers(),
        "task": task(),
        "evaluator": SupernetEvaluator(epochs=1, sampling=sampling, recalibrate=1),
        "epochs": 1,
    }
    study = run_search("random", trials=6, storage=tmp_path / "study.sqlite", **options)

    assert [trial.state for trial in study.trials] == ["complete"] * 6
    assert len(list(study.artifacts().glob("jobs/*/shared.safetensors"))) == 1
    by_key = {}
    for trial in study.trials:
        by_key.setdefault(trial.architecture.key, set()).add(trial.metrics["val_acc"])
    assert all(len(values) == 1 for values in by_key.values())
    again = run_search("random", trials=6, **options)
    assert outcome(again) == outcome(study)


def test_training_longer_makes_better_networks():
    def best(epochs):
        evaluator = SupernetEvaluator(epochs=epochs, recalibrate=4)
        data = nas.ImageClassification(limit=500, batch_size=16, training=nas.Training(lr=0.02))
        study = run_search("random", trials=6, space=Layers(), task=data, evaluator=evaluator)
        return study.best.metrics["val_loss"]

    assert best(8) < best(1) - 0.02


def test_hyperparameters_cannot_be_searched():
    with pytest.raises(nas.errors.SpecError, match="hyperparameters of the training cannot be searched"):
        nas.search(
            task(),
            space=Layers(),
            hyperparameters={"lr": {"choices": [0.1, 0.01]}},
            evaluator=nas.component("supernet", epochs=1),
            trials=1,
            progress=False,
        )


def test_the_best_are_trained_by_themselves():
    spec = RunSpec.parse(
        {"space": "qnas.conv", "task": "image_classification", "evaluator": {"supernet": {"epochs": 1}}}
        | {"strategy": "random", "budget": {"trials": 1}}
    )

    assert alone(spec, discover().catalog).evaluator.name == "lightning"
    assert alone(alone(spec, discover().catalog), discover().catalog).evaluator.name == "lightning"


@pytest.mark.parametrize(
    "arguments",
    [{"epochs": 0}, {"sampling": "all"}, {"sampling": "sandwich", "paths": 2}, {"paths": 0}, {"recalibrate": -1}],
)
def test_arguments_that_make_no_sense_are_refused(arguments):
    with pytest.raises(nas.errors.SpecError):
        SupernetEvaluator(**arguments)
