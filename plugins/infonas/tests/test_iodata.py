"""Labels of info-NAS: what trained networks compute, and the targets made of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nasplug_infonas.iodata import IOData, LabelledNetwork, label, penultimate
from nasplug_infonas.targets import THESIS, TargetSettings, contributions, make_targets
from torch import nn

import nasplug as nas
from nasplug.contract.errors import DataError, SpecError, TaskError
from nasplug.testing import SyntheticSpace, run_search


@pytest.fixture(scope="module")
def data():
    return label(SyntheticSpace(length=3), nas.ImageClassification(limit=200), 3, images=12, epochs=1)


def made(features, weight, bias):
    return LabelledNetwork(("a",), *(np.array(a, dtype=np.float32) for a in (features, weight, bias)), 0.5)


def test_networks_of_a_search_are_run_on_held_out_images(data):
    assert data.images.shape == (12, 1, 8, 8)
    assert data.labels.shape == (12,)
    assert len(data.networks) == 3
    space = SyntheticSpace(length=3)
    for network, architecture in zip(data.networks, data.architectures(space), strict=True):
        assert network.weight.shape == (10, network.features.shape[1])
        assert architecture.genotype == network.genotype
        assert 0.0 <= network.score <= 1.0
    with pytest.raises(DataError, match="'synthetic', not 'other'"):
        data.architectures(type("Other", (), {"name": "other"})())


class Unready(nas.ImageClassification):
    """Its data can be set up only by a module that has prepared them itself, as those that unpack files do."""

    def datamodule(self):
        data = super().datamodule()

        class Data(type(data)):
            ready = False

            def prepare_data(self):
                super().prepare_data()
                self.ready = True

            def setup(self, stage=None):
                assert self.ready, "set up without prepare_data"
                super().setup(stage)

        data.__class__ = Data
        return data


def test_data_are_prepared_by_every_module_that_is_set_up(data):
    found = label(SyntheticSpace(length=3), Unready(limit=200), 3, images=12, epochs=1)
    assert (found.images == data.images).all()
    assert (found.labels == data.labels).all()


def test_features_and_head_give_the_logits():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    images = torch.randn(5, 1, 2, 2)
    features, head = penultimate(network, images, batch=2)
    assert features.shape == (5, 6)
    torch.testing.assert_close(features @ head.weight.T + head.bias, network(images))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Flatten(), "no linear layer"),
        (nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU()), "not that of the last linear layer"),
    ],
)
def test_other_networks_are_refused(network, message):
    with pytest.raises(TaskError, match=message):
        penultimate(network, torch.randn(5, 1, 2, 2))


def test_files(data, tmp_path):
    again = IOData.load(data.save(tmp_path / "new" / "io.npz"))
    assert again.space == data.space
    np.testing.assert_array_equal(again.images, data.images)
    for old, new in zip(data.networks, again.networks, strict=True):
        assert (new.genotype, new.score) == (old.genotype, old.score)
        np.testing.assert_allclose(new.features, old.features, rtol=1e-3, atol=1e-3)
        np.testing.assert_array_equal(new.weight, old.weight)
    (tmp_path / "bad.npz").write_bytes(b"PK nonsense")
    for path in (tmp_path / "bad.npz", tmp_path / "absent.npz"):
        with pytest.raises(DataError, match="nasplug infonas label"):
            IOData.load(path)


def test_a_search_without_networks_is_refused():
    with pytest.raises(SpecError, match="without a task"):
        IOData.from_study(run_search("random", trials=2))
    study = nas.search(
        nas.ImageClassification(limit=200),
        space=SyntheticSpace(length=2),
        evaluator=nas.component("lightning", keep="none"),
        trials=1,
        epochs=1,
        progress=False,
    )
    with pytest.raises(SpecError, match="keep=best"):
        IOData.from_study(study)


def test_contributions_by_hand():
    network = made([[2.0, 3.0], [1.0, -1.0]], [[0.5, -1.0], [0.1, 4.0]], [0.2, -2.0])
    labels = np.array([0, 1])
    found = contributions(network, labels, TargetSettings(top_k=None))
    # Image 0, class 0: weights 0.5, -1.0, bias 0.2, so the order is feature 0, bias, feature 1.
    np.testing.assert_allclose(found, [[1.0, 0.2, -3.0], [-4.0, 0.1, -2.0]], rtol=1e-6)
    logits = network.features @ network.weight.T + network.bias
    np.testing.assert_allclose(found.sum(axis=1), logits[[0, 1], labels], rtol=1e-6)
    np.testing.assert_allclose(contributions(network, labels, TargetSettings(top_k=2)), found[:, :2])
    whole = contributions(network, labels, TargetSettings(top_k=None, per_network=True))
    assert whole.mean() == pytest.approx(0.0, abs=1e-6)
    assert whole.std() == pytest.approx(1.0, rel=1e-5)
    with pytest.raises(SpecError, match="top_k=4 exceeds the 3 features"):
        contributions(network, labels, TargetSettings(top_k=4))


def test_targets_of_the_thesis_are_standardised_by_position():
    rng = np.random.default_rng(0)
    networks = tuple(made(rng.random((8, 4)), rng.random((3, 4)), rng.random(3)) for _ in range(5))
    data = IOData("s", np.zeros((8, 1, 2, 2), np.float32), rng.integers(3, size=8), networks)
    targets = make_targets(data, THESIS)
    assert targets.shape == (5, 8, 5)
    np.testing.assert_allclose(targets.mean(axis=(0, 1)), 0.0, atol=1e-5)
    np.testing.assert_allclose(targets.std(axis=(0, 1)), 1.0, rtol=1e-4)


def test_networks_of_different_widths_need_top_k():
    networks = (made(np.ones((1, 2)), np.ones((1, 2)), [0.0]), made(np.ones((1, 3)), np.ones((1, 3)), [0.0]))
    data = IOData("s", np.zeros((1, 1, 2, 2), np.float32), np.array([0]), networks)
    with pytest.raises(SpecError, match="set top_k"):
        make_targets(data, TargetSettings(top_k=None))
    assert make_targets(data, TargetSettings(top_k=3)).shape == (2, 1, 3)


@pytest.mark.parametrize("key", ["genotypes", "scores"])
def test_a_file_with_more_of_one_than_of_the_other_is_refused(tmp_path, key):
    network = LabelledNetwork(
        (0, 1), np.zeros((4, 3), np.float32), np.zeros((2, 3), np.float32), np.zeros(2, np.float32), 0.5
    )
    data = IOData("nasbench201", np.zeros((4, 1, 2, 2), np.uint8), np.zeros(4, np.int64), (network,))
    path = data.save(tmp_path / "labelled.npz")
    assert IOData.load(path).networks[0].score == 0.5
    with np.load(path) as file:
        arrays = dict(file.items())
    arrays[key] = np.concatenate([arrays[key], arrays[key]])
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=r"labelled\.npz: cannot read the labelled networks"):
        IOData.load(path)
