"""Chains of Q-NAS scored with one training: layers of one position and function share their weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nasplug_qnas.spaces import ConvSpace, ResidualSpace

import nasplug as nas
from nasplug.evaluate.supernet.evaluator import SupernetEvaluator
from nasplug.evaluate.supernet.network import SharedNetwork
from nasplug.evaluate.supernet.sharing import fill, places
from nasplug.testing import run_search


@pytest.fixture
def task():
    return nas.ImageClassification(limit=60, batch_size=16)


def test_layers_of_one_position_and_function_are_one_tensor(task):
    network = SharedNetwork(ConvSpace(nodes=3, width=0.125), task, np.random.default_rng(0))

    for _ in range(5):
        network.draw()
        assert network.train()(torch.rand(4, 1, 8, 8)).shape == (4, 10)
    names = {key.split(" ")[0] for key in network.keys}
    assert len(network.keys) == len(names)
    assert {name.rpartition(".")[0] for name in names} >= {f"layers.{depth}_conv_3_1.0" for depth in range(3)}


@pytest.mark.parametrize("space", [ConvSpace(nodes=4, width=0.125), ResidualSpace(nodes=3, width=0.0625)])
def test_a_network_alone_computes_with_its_part_of_the_shared_weights(space, task):
    network = SharedNetwork(space, task, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    images = torch.rand(4, 1, 8, 8)
    for _ in range(20):
        architecture = space.sample(rng)
        network.choose(architecture)
        alone = space.build(architecture, task)
        fill(alone, places(space, architecture, alone), network.state())
        assert torch.allclose(alone.train()(images), network.train()(images), atol=1e-5)


def test_pools_do_not_move_the_layers_behind_them(task):
    space = ConvSpace(nodes=2, functions=["conv_3_1_8", "conv_3_1_4", "max_pool_2_2", "no_op"])

    def keys(*functions):
        architecture = space.architecture(functions)
        return {place.key for place in places(space, architecture, space.build(architecture, task)).values()}

    assert keys("max_pool_2_2", "conv_3_1_8") == keys("conv_3_1_4", "no_op")


def test_flattened_maps_of_other_sizes_have_another_classifier(task):
    space = ConvSpace(nodes=2, head="flatten", width=0.125)

    def classifier(*functions):
        architecture = space.architecture(functions)
        return places(space, architecture, space.build(architecture, task))["classifier.weight"].key

    assert classifier("conv_3_1_4", "no_op") == classifier("conv_3_1_8", "no_op")
    assert classifier("conv_3_1_4", "max_pool_2_2") != classifier("conv_3_1_4", "no_op")


def test_a_search_scores_all_chains_with_one_training(task):
    evaluator = SupernetEvaluator(1, recalibrate=1)
    study = run_search("random", trials=5, space=ConvSpace(nodes=3, width=0.125), task=task, evaluator=evaluator)

    assert [trial.state for trial in study.trials] == ["complete"] * 5


def test_the_number_of_workers_changes_nothing():
    def scores(workers):
        study = nas.search(
            nas.component("image_classification", limit=60, batch_size=16),
            space=nas.component("qnas.conv", nodes=3, width=0.125),
            evaluator=nas.component("supernet", epochs=1, recalibrate=1),
            trials=4,
            workers=workers,
            progress=False,
        )
        return [(trial.architecture.key, trial.metrics) for trial in study.trials]

    assert scores(2) == scores(1)
