"""Joint training: the order of batches, the two optimisers, and that labels shape the codes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from nasplug_infonas.batches import GraphBatches
from nasplug_infonas.encoding import PUBLISHED
from nasplug_infonas.interleave import InterleavedBatches, LabelledBatch, LabelledPairs
from nasplug_infonas.iodata import IOData, LabelledNetwork
from nasplug_infonas.models.infonas import InfoNAS
from nasplug_infonas.models.regressor import AccuracyRegressor, ImageRegressor, RegressorSettings
from nasplug_infonas.models.vae import VAESettings
from nasplug_infonas.pretrain import graphs_of
from nasplug_infonas.semisupervised import InfoNASSettings, train_accuracy, train_infonas
from nasplug_infonas.targets import TargetSettings
from nasplug_tables.spaces.nasbench101 import NASBench101

from nasplug.contract.errors import DataError, SpecError

SPACE = NASBench101()
ENCODING = PUBLISHED["nasbench101"]
SIZES = VAESettings(hidden=16, latent=4, layers=2)
REGRESSOR = RegressorSettings(width=4, steps=1, dense=16, dropout=0.0)
GRAPHS = graphs_of(SPACE, ENCODING, limit=600)


class Counted:
    """Stands in for batches of which only the number matters."""

    def __init__(self, length, networks=0, batch_size=1):
        self.length, self.networks, self.batch_size = length, networks, batch_size

    def __len__(self):
        return self.length


def order(unlabelled, labelled, networks, batch_size, run):
    batches = InterleavedBatches(Counted(unlabelled), Counted(labelled, networks, batch_size), run)
    return batches, "".join("L" if labelled else "u" for labelled in batches.order())


def test_the_order_of_batches():
    batches, found = order(unlabelled=12, labelled=7, networks=4, batch_size=2, run=3)
    assert batches.gap == 1  # floor(0.33 * 12 / 2)
    assert found == "LLLuLLLuL" + "u" * 10
    assert len(batches) == 19
    # One round of labels for every group of networks, a third of the way through the others: the published figures.
    assert order(11_896, 19_000, 608, 32, 300)[0].gap == 206
    assert order(2, 7, 4, 2, 3)[1] == "LLLuLLLuL"
    assert order(1, 9, 4, 2, 3)[1] == "LLLuLLLLLL"


def test_an_epoch_shows_every_network_with_every_image():
    graphs = GRAPHS[:5]
    targets = torch.arange(5 * 3).view(5, 3, 1).float()  # names the pair
    images = torch.arange(3).view(3, 1, 1, 1).expand(3, 1, 2, 2).float()
    torch.manual_seed(0)
    seen = list(LabelledPairs(graphs, targets, images, 4))
    assert sorted(torch.cat([batch.targets for batch in seen]).flatten().tolist()) == list(range(15))
    for batch in seen:
        pair = batch.targets[:, 0].long()
        assert batch.images[:, 0, 0, 0].tolist() == (pair % 3).tolist()
        assert batch.operations.tolist() == graphs.operations[(pair // 3).numpy()].tolist()
    with pytest.raises(DataError, match=r"\(5, 3, 1\) for 5 networks and 1 image"):
        LabelledPairs(graphs, targets, None, 4)


@pytest.mark.parametrize("mode", ["dense", "concat"])
def test_regressors_have_shapes_and_need_both_inputs(mode):
    torch.manual_seed(0)
    regressor = ImageRegressor(7 * 4, 3, 10, RegressorSettings(mode=mode, width=8, dense=16)).eval()
    codes, images = torch.randn(2, 7, 4), torch.randn(2, 3, 8, 8)
    answer = regressor(codes, images)
    assert answer.shape == (2, 10)
    assert not torch.allclose(answer, regressor(codes + 1.0, images))
    assert not torch.allclose(answer, regressor(codes, images + 1.0))


def test_the_published_regressor_has_its_published_layers():
    regressor = ImageRegressor(112, 3, 10)
    shapes = [tuple(module.weight.shape) for module in regressor.modules() if isinstance(module, torch.nn.Conv2d)]
    assert shapes == [(128, 3, 3, 3), (128, 128, 3, 3), (256, 128, 3, 3), (256, 256, 3, 3), (512, 256, 3, 3)]
    linear = [tuple(module.weight.shape) for module in regressor.modules() if isinstance(module, torch.nn.Linear)]
    assert linear == [(16, 112), (512, 528), (512, 512), (10, 512)]
    accuracy = AccuracyRegressor(112)(torch.randn(2, 7, 16))
    assert accuracy.shape == (2, 1)
    assert ((accuracy > 0) & (accuracy < 1)).all()


def data(count=24, pixels=6):
    """Networks whose features say how many 3 x 3 convolutions they have."""
    rng = np.random.default_rng(0)
    networks = []
    for _ in range(count):
        cell = SPACE.sample(rng)
        convolutions = cell.genotype[1].count("0")
        features = np.full((pixels, 3), convolutions, dtype=np.float32)
        networks.append(
            LabelledNetwork(cell.genotype, features, np.ones((2, 3), np.float32), np.zeros(2, np.float32), 0.5)
        )
    images = rng.standard_normal((pixels, 1, 4, 4)).astype(np.float32)
    return IOData("nasbench101", images, rng.integers(2, size=pixels), tuple(networks))


def settings(**changes):
    return InfoNASSettings(
        **{"epochs": 6, "lr": 2e-2, "run": 5, "regressor": REGRESSOR, "targets": TargetSettings(top_k=2), **changes}
    )


def correlation(embedder):
    """How well a linear model finds the number of convolutions in the embedding of other cells."""
    others = GRAPHS[300:]
    counts = (others.operations == ENCODING.labels.index("conv3x3-bn-relu")).sum(axis=1)
    x = np.concatenate([embedder.embed_encoded(others, "dense"), np.ones((len(others), 1))], axis=1)
    return np.corrcoef(x @ np.linalg.lstsq(x, counts, rcond=None)[0], counts)[0, 1]


def test_training_learns_from_labels_and_is_reproducible():
    found = train_infonas(GRAPHS[:300], ENCODING, data(), SPACE, settings=settings(), sizes=SIZES)
    assert found.facts["metrics"]["train_error"] < 0.5  # the targets have a variance of 1.2
    assert found.facts["metrics"]["operation_accuracy"] > 0.3
    assert found.facts["labelled_batches"] == 6 * 5  # 24 networks x 6 images in batches of 32, twice a group of 16
    json.dumps(found.facts)
    assert found.dense is not None
    assert correlation(found) > 0.8


def test_the_same_seed_gives_the_same_encoder():
    found = [
        train_infonas(GRAPHS[:100], ENCODING, data(), SPACE, settings=settings(epochs=1, seed=seed), sizes=SIZES)
        for seed in (1, 1, 2)
    ]
    assert found[0].fingerprint == found[1].fingerprint != found[2].fingerprint


def test_without_weight_labels_do_not_reach_the_codes():
    changed = data()
    for network in changed.networks:
        network.features[:] = 7.0  # other labels
    plain = [
        train_infonas(GRAPHS[:100], ENCODING, labels, SPACE, settings=settings(epochs=1, weight=0.0), sizes=SIZES)
        for labels in (data(), changed)
    ]
    assert np.array_equal(plain[0].embed_encoded(GRAPHS), plain[1].embed_encoded(GRAPHS))
    taught = [
        train_infonas(GRAPHS[:100], ENCODING, labels, SPACE, settings=settings(epochs=1), sizes=SIZES)
        for labels in (data(), changed)
    ]
    assert not np.array_equal(taught[0].embed_encoded(GRAPHS), taught[1].embed_encoded(GRAPHS))


def test_labelled_networks_are_no_unlabelled_ones():
    labels = data()
    architectures = labels.architectures(SPACE)
    known = {item.key for item in architectures}
    others = [item for item in (SPACE.sample(np.random.default_rng(i)) for i in range(40)) if item.key not in known]
    graphs = ENCODING.encode_space(SPACE, [*architectures, *others])
    found = train_infonas(graphs, ENCODING, labels, SPACE, settings=settings(epochs=1, val_fraction=0.0), sizes=SIZES)
    assert found.facts["graphs"] == len(others)


def test_the_accuracy_variant_and_a_start():
    rng = np.random.default_rng(1)
    values = rng.random(20)
    start = train_accuracy(GRAPHS[:100], ENCODING, GRAPHS[100:120], values, settings=settings(epochs=1), sizes=SIZES)
    assert start.embed_encoded(GRAPHS[:3], "dense").shape == (3, 16)
    found = train_accuracy(GRAPHS[:100], ENCODING, GRAPHS[100:120], values, settings=settings(epochs=1), start=start)
    assert found.vae.settings == SIZES
    assert found.facts["started_from"] == start.facts
    with pytest.raises(DataError, match=r"in \[0, 1\]"):
        train_accuracy(GRAPHS[:100], ENCODING, GRAPHS[100:120], 100 * values, sizes=SIZES)


def test_each_kind_of_batch_has_its_optimiser():
    torch.manual_seed(0)
    module = InfoNAS(ENCODING, ImageRegressor(7 * 4, 1, 2, REGRESSOR), SIZES)
    alone, together = module.configure_optimizers()
    module.optimizers = lambda: [alone, together]
    module.manual_backward = lambda loss: loss.backward()
    plain = next(iter(GraphBatches(GRAPHS[:8], 8, shuffle=False)))
    module.training_step(plain, 0)
    assert alone.state
    assert not together.state
    regressor = [value.clone() for value in module.regressor.parameters()]
    module.training_step(LabelledBatch(*plain, torch.randn(8, 1, 4, 4), torch.randn(8, 2)), 1)
    assert len(together.state) == len(alone.state) + len(regressor)
    assert any(not torch.equal(a, b) for a, b in zip(regressor, module.regressor.parameters(), strict=True))


def test_nonsense_is_refused():
    with pytest.raises(SpecError, match="write mse or l1"):
        InfoNAS(ENCODING, AccuracyRegressor(28, REGRESSOR), SIZES, error="huber")
    with pytest.raises(SpecError, match="write dense or concat"):
        RegressorSettings(mode="sum")
    with pytest.raises(SpecError, match="makes no training"):
        InfoNASSettings(epochs=0)
