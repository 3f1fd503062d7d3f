"""Tests of `shared` in `nasplug_emonas.macro`: one training for all networks of the space."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nasplug_emonas.macro import MacroSpace

import nasplug as nas
from nasplug.evaluate.supernet.evaluator import SupernetEvaluator
from nasplug.evaluate.supernet.network import SharedNetwork
from nasplug.evaluate.supernet.sharing import fill, places
from nasplug.testing import run_search


def task():
    return nas.ImageClassification(limit=60, batch_size=16)


@pytest.mark.parametrize("decoder", ["residual", "preact", "dense"])
def test_a_node_reads_the_same_channels_of_another_in_all_networks(decoder):
    space = MacroSpace(nodes=4, channels=2, decoder=decoder, growth=3, phases=2)
    network = SharedNetwork(space, task(), np.random.default_rng(0))
    rng = np.random.default_rng(1)
    images = torch.rand(4, 1, 8, 8)
    for _ in range(20):
        architecture = space.sample(rng)
        network.choose(architecture)
        alone = space.build(architecture, task())
        fill(alone, places(space, architecture, alone), network.state())
        assert torch.allclose(alone.train()(images), network.train()(images), atol=1e-6)
    widths = [2, *[3 if decoder == "dense" else 2] * 4]
    out = network.state()["features.0.joins.out.weight Conv2d 4 1x1"]
    assert out.shape[1] == sum(widths)


def test_positions_are_those_of_the_sources():
    space = MacroSpace(nodes=3, channels=2, phases=1)
    # Node 3 reads node 2 alone, and the output reads nodes 1 and 3 and the input of the phase.
    network = space.build(space.parse([[[0], [0, 1], [1]]]), task())
    (phase,) = [part for part in network.features if hasattr(part, "read")]
    found = phase.read()

    outputs = phase.phase.outputs
    assert found["joins.out.weight"] == (1, [2 * source + channel for source in outputs for channel in (0, 1)])


def test_a_search_scores_all_networks_with_one_training():
    space = MacroSpace(nodes=3, channels=2, phases=2)
    study = run_search("random", trials=5, space=space, task=task(), evaluator=SupernetEvaluator(1, recalibrate=1))

    assert [trial.state for trial in study.trials] == ["complete"] * 5
