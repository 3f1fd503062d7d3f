"""Tests of `nasplug_tables.spaces.nasbench201.relaxed`: all cells in one network."""

from __future__ import annotations

import torch
from nasplug_tables.spaces.nasbench201 import NASBench201
from nasplug_tables.spaces.nasbench201.space import EDGES, OPERATIONS

import nasplug as nas
from nasplug.contract.protocols import Relaxes
from nasplug.testing import run_search

SPACE = NASBench201(channels=2, cells=1)
CELL = ("nor_conv_3x3", "none", "skip_connect", "avg_pool_3x3", "nor_conv_1x1", "nor_conv_3x3")


def task():
    return nas.ImageClassification(limit=60, batch_size=16)


def decided(network, cell, sharpness=40.0):
    """Sets logits that give nearly all weight to one cell."""
    with torch.no_grad():
        network.logits.zero_()
        for edge, operation in enumerate(cell):
            network.logits[edge, OPERATIONS.index(operation)] = sharpness


def test_the_network_of_decided_weights_is_that_of_the_cell():
    torch.manual_seed(0)
    relaxed = SPACE.relaxed(task())
    decided(relaxed, CELL)
    alone = SPACE.build(SPACE.architecture(CELL), task())
    own = dict(relaxed.network.named_parameters())
    with torch.no_grad():
        for name, parameter in alone.named_parameters():
            cell, inside, rest = name.partition(".operations.")
            edge, _, inner = rest.partition(".")
            operation = CELL[[f"{x}->{y}" for x, y in EDGES].index(edge)] if inside else ""
            parameter.copy_(own[f"{cell}.edges.{edge}.{operation}.{inner}" if inside else name])
    images = torch.rand(8, 1, 8, 8)

    assert torch.allclose(relaxed.train()(images), alone.train()(images), atol=1e-5)
    assert SPACE.derived(relaxed) == CELL


def test_weights_of_all_operations_learn_and_none_has_no_weights():
    relaxed = SPACE.relaxed(task())
    relaxed(torch.rand(4, 1, 8, 8)).square().sum().backward()

    edges = relaxed.network.features[2].edges
    assert len(edges) == len(EDGES)
    assert set(edges["0->1"]) == set(OPERATIONS) - {"none"}
    assert all(parameter.grad is not None for parameter in relaxed.parameters())
    assert relaxed.logits.grad.abs().min() > 0


def test_gradients_search_the_cells():
    assert isinstance(SPACE, Relaxes)
    strategy = nas.component("gradient", epochs=1)
    study = run_search(strategy, trials=1, space=SPACE, task=task(), evaluator=nas.component("lightning"), epochs=1)

    assert [trial.state for trial in study.trials] == ["complete"]
