"""Tests of `nasplug.spaces.unet.sharing`: U-Nets that are trained together."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nasplug.data.volumes import Folds, NpzVolumes
from nasplug.evaluate.supernet.evaluator import SupernetEvaluator
from nasplug.evaluate.supernet.network import SharedNetwork
from nasplug.evaluate.supernet.sharing import fill, places
from nasplug.spaces.unet import UNetSpace
from nasplug.tasks.segmentation import Patches, Segmentation
from nasplug.testing import Shapes, run_search
from tests.support.volumes import write_npz

TASK = Shapes((1, 16, 16), 2, "map")


def network_of(space, **decisions):
    """An architecture with these decisions, the first option elsewhere, and its network."""
    architecture = space.architecture([decisions.get(choice.name, choice.options[0]) for choice in space.choices])
    return architecture, space.build(architecture, TASK)


def logits(answer):
    return answer if isinstance(answer, torch.Tensor) else torch.cat([each.flatten() for each in answer])


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_network_alone_computes_with_its_part_of_the_shared_weights(dimensions):
    space = UNetSpace(max_depth=2, widths=[2, 4], max_width=16, blocks=["conv", "inverted"])
    task = Shapes((1, *[8] * dimensions), 2, "map" if dimensions == 2 else "volume")
    network = SharedNetwork(space, task, np.random.default_rng(0))
    images = torch.rand(2, *task.input_shape)
    rng = np.random.default_rng(1)
    for _ in range(10):
        architecture = space.sample(rng)
        network.choose(architecture)
        alone = space.build(architecture, task)
        fill(alone, places(space, architecture, alone), network.state())
        assert torch.allclose(logits(alone.train()(images)), logits(network.train()(images)), atol=1e-5)


@pytest.mark.parametrize("decoder", ["conv", "residual", "inverted", "separable"])
def test_what_reads_the_skip_reads_it_where_the_widest_network_has_it(decoder):
    space = UNetSpace(max_depth=1, widths=[4, 8], max_width=16)
    architecture, network = network_of(space, decoder0=decoder, skip0="concat", width=4)

    found = places(space, architecture, network)

    read = [0, 1, 2, 3, 8, 9, 10, 11]
    reading = [place for place in found.values() if place.indices]
    assert reading
    assert all(positions.tolist() == read for place in reading for positions in place.indices.values())
    joined = {name for name, values in network.network.decoders[0].named_parameters() if 8 in values.shape[:2]}
    assert {name.removeprefix("network.decoders.0.") for name, place in found.items() if place.indices} <= joined


def test_blocks_of_two_kinds_share_nothing():
    space = UNetSpace(max_depth=1, widths=[4])
    keys = []
    for kind in ("conv", "residual", "inverted", "separable"):
        architecture, network = network_of(space, encoder0=kind, encoder1=kind, decoder0=kind)
        found = places(space, architecture, network)
        keys.append({place.key for name, place in found.items() if ".decoders." in name or ".encoders.1." in name})

    assert all(not first & second for at, first in enumerate(keys) for second in keys[:at])


def test_the_stem_and_the_heads_are_those_of_all():
    space = UNetSpace(max_depth=2, widths=[4, 8])
    first = network_of(space, encoder0="conv", width=4, depth=1)
    second = network_of(space, encoder0="residual", width=8, depth=2)

    shared = [{place.key for place in places(space, *each).values()} for each in (first, second)]

    names = {key.split(" ")[0] for key in shared[0] & shared[1]}
    assert {"network.encoders.0.0.0.weight", "network.heads.0.weight", "network.downs.0.0.weight"} <= names


def test_a_sum_and_a_concatenation_are_read_by_weights_of_their_own():
    space = UNetSpace(max_depth=1, widths=[4])
    keys = [
        {place.key for name, place in places(space, *network_of(space, skip0=skip)).items() if ".decoders." in name}
        for skip in ("concat", "add", "gate")
    ]

    assert not keys[0] & keys[1]
    assert keys[0] == keys[2]


def test_a_search_scores_all_networks_with_one_training(tmp_path):
    write_npz(tmp_path / "volumes.npz", 4)
    source = NpzVolumes(str(tmp_path / "volumes.npz"), channels=["MRI"])
    task = Segmentation(source, 2, Patches(size=[12, 12], batch_size=4, per_epoch=8), folds=Folds(test_fraction=0))
    space = UNetSpace(max_depth=1, widths=[2], max_width=4, blocks=["conv"], repeats=[1])

    study = run_search("random", trials=3, space=space, task=task, evaluator=SupernetEvaluator(1, recalibrate=1))

    assert [trial.state for trial in study.trials] == ["complete"] * 3
