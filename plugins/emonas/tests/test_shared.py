"""Tests of `shared` in `nasplug_emonas.macro` and `micro`: one training for all networks of a space."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nasplug_emonas.macro import MacroSpace
from nasplug_emonas.micro import MicroSpace

import nasplug as nas
from nasplug.evaluate.supernet.evaluator import SupernetEvaluator
from nasplug.evaluate.supernet.network import SharedNetwork
from nasplug.evaluate.supernet.sharing import covers, fill, places
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


def micro(*, ends):
    """A cell whose blocks all read the inputs, or of which each but the last is read by the next."""
    blocks = [("sep_conv_3x3", 0, "max_pool_3x3", 1)]
    blocks += [("sep_conv_3x3", 0 if ends == "all" else at + 1, "skip_connect", 1) for at in range(1, 5)]
    return [value for _ in range(2) for block in blocks for value in block]


@pytest.fixture
def few_looks(monkeypatch):
    """Looks at few cells for the layers that there are."""
    for name, number in {"SEEN": 40, "MOST": 40, "SETTLED": 0}.items():
        monkeypatch.setattr(f"nasplug.evaluate.supernet.network.{name}", number)


def test_a_cell_alone_computes_with_its_part_of_the_shared_weights(few_looks):
    space = MicroSpace(channels=2, layers=3)
    network = SharedNetwork(space, task(), np.random.default_rng(0))
    rng = np.random.default_rng(1)
    images = torch.rand(4, 1, 8, 8)
    covered = 0
    for _ in range(6):
        architecture = space.sample(rng)
        network.choose(architecture)
        alone = space.build(architecture, task())
        where = places(space, architecture, alone)
        if all(covers(place, network.state()) for place in where.values()):
            fill(alone, where, network.state())
            covered += 1
            assert torch.allclose(alone.train()(images), network.train()(images), atol=1e-5)
    assert covered >= 2


def test_the_next_cell_reads_a_block_where_a_cell_of_all_blocks_has_it():
    space = MicroSpace(channels=2, layers=3)
    found = []
    for ends in ("all", "last"):
        architecture = space.architecture(micro(ends=ends))
        found.append(places(space, architecture, space.build(architecture, task())))

    assert found[0]["classifier.weight"].indices[1].tolist() == list(range(40))  # 5 blocks of 8 channels
    assert found[1]["classifier.weight"].indices[1].tolist() == list(range(32, 40))
    assert found[1]["cells.1.prepare.1.1.weight"].indices[1].tolist() == [8, 9]


def test_an_operation_is_one_with_itself_on_the_same_input_alone():
    space = MicroSpace(channels=2, layers=3)
    genes = micro(ends="all")
    other = list(genes)
    other[0] = "dil_conv_3x3"
    keys = []
    for genotype in (genes, other):
        architecture = space.architecture(genotype)
        found = places(space, architecture, space.build(architecture, task()))
        keys.append({place.key for name, place in found.items() if name.startswith("cells.0.operations.")})

    assert any(".dil_conv_3x3.of_0." in key for key in keys[1])
    assert not any(".dil_conv_3x3." in key for key in keys[0])
    assert keys[0] & keys[1]


def test_a_search_of_cells_scores_all_with_one_training():
    space = MicroSpace(channels=2, layers=3)
    study = run_search("random", trials=3, space=space, task=task(), evaluator=SupernetEvaluator(1, recalibrate=1))

    assert "complete" in {trial.state for trial in study.trials}
