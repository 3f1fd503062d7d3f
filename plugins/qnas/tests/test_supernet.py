"""Chains of Q-NAS scored with one training: layers of one position and function share their weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nasplug_qnas.spaces import ConvSpace

import nasplug as nas
from nasplug.evaluate.supernet.evaluator import SupernetEvaluator
from nasplug.evaluate.supernet.network import SharedNetwork
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
    assert any(name.startswith("features.2_conv_3_1") for name in names)


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
