"""Cells of tables scored with one training: which weights their networks share."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nasplug_tables.spaces.nasbench101 import NASBench101
from nasplug_tables.spaces.nasbench201 import NASBench201

import nasplug as nas
from nasplug.evaluate.supernet.evaluator import SupernetEvaluator
from nasplug.evaluate.supernet.network import SharedNetwork
from nasplug.evaluate.supernet.sharing import covers, fill, places
from nasplug.testing import run_search


def task():
    return nas.ImageClassification(limit=60, batch_size=16)


@pytest.fixture(autouse=True)
def few_looks(monkeypatch):
    """Looks at few cells for the layers that there are."""
    for name, number in {"SEEN": 40, "MOST": 40, "SETTLED": 0}.items():
        monkeypatch.setattr(f"nasplug.evaluate.supernet.network.{name}", number)


@pytest.mark.parametrize(
    "space", [NASBench201(channels=4, cells=1), NASBench101(channels=8, stacks=2, cells=1)], ids=["201", "101"]
)
def test_a_cell_alone_computes_with_its_part_of_the_shared_weights(space):
    network = SharedNetwork(space, task(), np.random.default_rng(0))
    rng = np.random.default_rng(1)
    images = torch.rand(4, 1, 8, 8)
    covered = 0
    for _ in range(10):
        architecture = space.sample(rng)
        network.choose(architecture)
        alone = space.build(architecture, task())
        where = places(space, architecture, alone)
        if all(covers(place, network.state()) for place in where.values()):
            covered += 1
            fill(alone, where, network.state())
            assert torch.allclose(alone.train()(images), network.train()(images), atol=1e-5)
    assert covered >= 8


def test_an_operation_on_an_edge_is_one_in_all_cells():
    space = NASBench201(channels=4, cells=1)

    def keys(*operations):
        architecture = space.architecture(operations)
        return {place.key for place in places(space, architecture, space.build(architecture, task())).values()}

    first = keys("nor_conv_3x3", "none", "nor_conv_1x1", "none", "none", "skip_connect")
    second = keys("nor_conv_3x3", "skip_connect", "nor_conv_3x3", "none", "none", "none")

    shared = {key.split(" ")[0] for key in first & second}
    assert {name for name in shared if "->" in name} == {
        f"features.{at}.0->1.nor_conv_3x3.{parameter}"
        for at in (2, 4, 6)
        for parameter in ("1.weight", "2.weight", "2.bias")
    }


def test_a_search_scores_all_cells_with_one_training():
    evaluator = SupernetEvaluator(1, recalibrate=1)
    study = run_search("random", trials=4, space=NASBench201(channels=4, cells=1), task=task(), evaluator=evaluator)

    assert [trial.state for trial in study.trials] == ["complete"] * 4
