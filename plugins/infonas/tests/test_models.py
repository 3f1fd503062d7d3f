"""The autoencoder against formulas and against the plain form of its parts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from nasplug_infonas.batches import GraphBatches, GraphDataModule
from nasplug_infonas.encoding import PUBLISHED
from nasplug_infonas.models.losses import ReconstructionAccuracy, vae_loss
from nasplug_infonas.models.vae import Codes, GINLayer, GraphVAE, Reconstruction, VAESettings
from nasplug_tables.spaces.nasbench101 import NASBench101
from torch.nn.functional import binary_cross_entropy

from nasplug.contract.errors import DataError, SpecError

ENCODING = PUBLISHED["nasbench101"]


def cells(count, seed=0):
    space, rng = NASBench101(), np.random.default_rng(seed)
    return ENCODING.encode_space(space, [space.sample(rng) for _ in range(count)])


def batch(count=6):
    graphs = cells(count)
    return torch.from_numpy(graphs.operations), torch.from_numpy(graphs.adjacency)


def test_a_layer_is_the_formula():
    torch.manual_seed(0)
    layer = GINLayer(5, 8).eval()
    with torch.no_grad():
        layer.epsilon.fill_(0.3)
        nodes, adjacency = torch.randn(2, 7, 5), torch.randint(0, 2, (2, 7, 7)).float()
        total = 1.3 * nodes + adjacency @ nodes
        expected = torch.relu(layer.norm(layer.mlp(total.reshape(14, 5)))).view(2, 7, 8)
        torch.testing.assert_close(layer(nodes, adjacency, torch.eye(7)), expected)


def test_shapes_and_published_size():
    vae = GraphVAE(5, 7)
    codes, drawn, reconstruction = vae(*batch())
    assert codes.mean.shape == codes.log_std.shape == drawn.shape == (6, 7, 16)
    assert reconstruction.operations.shape == (6, 7, 5)
    assert reconstruction.adjacency.shape == (6, 7, 7)
    layer = 128 * 128 + 128 + 2 * 2 * 128 + 1  # second Linear, two BN, eps
    first = 5 * 128 + 128
    later = 128 * 128 + 128
    heads = 2 * (128 * 16 + 16)
    assert sum(p.numel() for p in vae.parameters()) == first + 3 * later + 4 * layer + heads + 16 * 5 + 5


def test_codes_do_not_depend_on_the_numbering_of_nodes():
    vae = GraphVAE(5, 7).eval()
    operations, adjacency = batch(1)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(1))
    moved = adjacency[:, order][:, :, order]  # not triangular any more; edges are followed both ways
    with torch.no_grad():
        first = vae.encode(operations, adjacency).mean
        second = vae.encode(operations[:, order], moved).mean
    torch.testing.assert_close(first[:, order], second)


def test_evaluation_uses_the_mean_and_training_a_log_standard_deviation():
    vae = GraphVAE(5, 7)
    codes = Codes(torch.zeros(4000, 7, 16), torch.full((4000, 7, 16), math.log(0.5)))
    assert vae.eval().draw(codes) is codes.mean
    torch.manual_seed(0)
    # Were it the logarithm of a variance, the standard deviation would be 0.71.
    assert vae.train().draw(codes).std().item() == pytest.approx(0.5, rel=0.01)


def test_the_loss_is_the_published_one():
    torch.manual_seed(3)
    operations, adjacency = batch(4)
    reconstruction = Reconstruction(torch.randn(4, 7, 5), torch.randn(4, 7, 7))
    codes = Codes(torch.randn(4, 7, 16), 0.3 * torch.randn(4, 7, 16))
    found = vae_loss(codes, reconstruction, operations, adjacency)

    one_hot = torch.zeros(4, 7, 5)
    for b in range(4):
        for v in range(7):
            if operations[b, v] >= 0:
                one_hot[b, v, operations[b, v].long()] = 1
    torch.testing.assert_close(found.operations, binary_cross_entropy(reconstruction.operations.sigmoid(), one_hot))
    triangle = reconstruction.adjacency.sigmoid().triu(1)  # the rest is zero and enters the mean
    torch.testing.assert_close(found.adjacency, binary_cross_entropy(triangle, adjacency.float()))
    s, m = codes.log_std, codes.mean
    each = (1 + 2 * s - m**2 - s.exp() ** 2).sum(2)
    torch.testing.assert_close(found.divergence, -0.5 / (4 * 7) * each.mean())
    torch.testing.assert_close(found.total, found.operations + found.adjacency + found.divergence)
    heavier = vae_loss(codes, reconstruction, operations, adjacency, beta=1.0).divergence
    torch.testing.assert_close(heavier, 28 * found.divergence)


def test_softmax_counts_real_rows_only():
    operations = torch.tensor([[0, 4, -1]])
    scores = torch.zeros(1, 3, 5)
    reconstruction = Reconstruction(scores, torch.zeros(1, 3, 3))
    codes = Codes(torch.zeros(1, 3, 2), torch.zeros(1, 3, 2))
    edges = torch.zeros(1, 3, 3)
    assert vae_loss(codes, reconstruction, operations, edges, head="softmax").operations.item() == pytest.approx(
        math.log(5)
    )
    scores[0, 2, 1] = 9.0  # a padded row
    assert vae_loss(codes, reconstruction, operations, edges, head="softmax").operations.item() == pytest.approx(
        math.log(5)
    )


def test_accuracy_with_and_without_padding():
    operations = torch.tensor([[0, 2, 4, -1]], dtype=torch.int8)
    adjacency = torch.zeros(1, 4, 4, dtype=torch.uint8)
    adjacency[0, 0, 1] = adjacency[0, 1, 2] = 1
    scores = torch.zeros(1, 4, 5)
    scores[0, [0, 1, 2, 3], [0, 2, 3, 2]] = 1.0  # input right, conv right, output wrong, padding read as conv
    edges = torch.full((1, 4, 4), -20.0)
    edges[0, 0, 1] = 20.0  # one of two edges
    metric = ReconstructionAccuracy()
    metric.update(Reconstruction(scores, edges), operations, adjacency)
    found = {name: float(value) for name, value in metric.compute().items()}
    assert found["operation_accuracy"] == pytest.approx(2 / 3)
    assert found["operation_accuracy_padded"] == pytest.approx(2 / 4)
    assert found["adjacency_accuracy"] == pytest.approx(5 / 6)
    assert found["true_edge"] == pytest.approx(0.5, abs=1e-4)
    assert found["false_edge"] == pytest.approx(0.0, abs=1e-4)


def test_batches_cover_an_epoch_and_never_end_on_a_single_graph():
    graphs = cells(65)
    torch.manual_seed(0)
    sizes = [len(part[0]) for part in GraphBatches(graphs, 32, shuffle=True)]
    assert sizes == [32, 32]  # batch normalisation cannot train on the last one alone
    loader = GraphBatches(graphs, 32, shuffle=False)
    assert len(loader) == 3
    assert torch.cat([part[0] for part in loader]).tolist() == graphs.operations.tolist()
    shuffled = torch.cat([part[0] for part in GraphBatches(graphs, 13, shuffle=True)])
    assert sorted(shuffled.tolist()) == sorted(graphs.operations.tolist())
    assert shuffled.tolist() != graphs.operations.tolist()


def test_nonsense_is_refused():
    with pytest.raises(SpecError, match="no autoencoder"):
        VAESettings(layers=0)
    with pytest.raises(SpecError, match="write sigmoid or softmax"):
        VAESettings(head="tanh")
    with pytest.raises(DataError, match="at least 2 graphs, got 1"):
        GraphDataModule(cells(1))


def test_a_regressor_may_take_no_steps_but_not_fewer():
    from nasplug_infonas.models.regressor import RegressorSettings

    assert RegressorSettings(steps=0).steps == 0
    for wrong in ({"steps": -1}, {"code": 0}, {"width": 0}, {"dense": 0}, {"dropout": 1.0}, {"dropout": -0.1}):
        with pytest.raises(SpecError, match="make no regressor"):
            RegressorSettings(**wrong)
    assert RegressorSettings(code=1, width=1, dense=1, dropout=0.0).code == 1


@pytest.mark.parametrize("mode", ["dense", "concat"])
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_every_step_halves_the_image_and_doubles_its_channels_and_nothing_else_does(mode, steps):
    from nasplug_infonas.models.regressor import ImageRegressor, RegressorSettings

    regressor = ImageRegressor(10, 3, 7, RegressorSettings(mode, code=4, width=8, steps=steps, dense=6))
    images = torch.randn(2, 3 if mode == "dense" else 3 + 4, 16, 16)
    assert regressor.convolutions(images).shape == (2, 8 * 2**steps, 16 >> steps, 16 >> steps)
    assert regressor(torch.randn(2, 2, 5), torch.randn(2, 3, 16, 16)).shape == (2, 7)
