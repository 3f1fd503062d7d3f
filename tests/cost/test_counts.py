from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from nasplug.contract.errors import TaskError
from nasplug.cost.counts import Counts, count
from nasplug.cost.meta import meta_copy


class Function(nn.Module):
    """A module around a function of the input."""

    def __init__(self, function, *modules):
        super().__init__()
        self.inner = nn.ModuleList(modules)
        self.function = function

    def forward(self, x):
        return self.function(x, *self.inner)


@pytest.mark.parametrize(
    ("network", "shape", "params", "macs"),
    [
        (nn.Linear(20, 7), (20,), 147, 140),
        (nn.Conv2d(3, 8, 3, padding=1), (3, 10, 12), 224, 3 * 9 * 8 * 120),
        (nn.Conv2d(6, 12, 3, stride=2, groups=3, bias=False), (6, 9, 9), 216, 2 * 9 * 12 * 16),
        (nn.Conv2d(8, 8, 5, padding=2, groups=8), (8, 6, 6), 208, 25 * 8 * 36),
        (nn.ConvTranspose2d(4, 2, 2, stride=2), (4, 5, 5), 34, 4 * 25 * 2 * 4),
        (nn.Conv1d(2, 3, 3), (2, 9), 21, 2 * 3 * 3 * 7),
        (nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2)), (3, 8, 8), 6, 0),
        (nn.LSTM(8, 16, batch_first=True), (5, 8), 4 * 16 * (8 + 16 + 2), 5 * 4 * 16 * (8 + 16)),
        (
            nn.TransformerEncoderLayer(32, 4, 64, batch_first=True),
            (10, 32),
            8544,
            10 * 32 * 32 * 4 + 2 * 10 * 10 * 32 + 2 * 10 * 32 * 64,
        ),
        (Function(lambda x: scaled_dot_product_attention(x, x, x)), (2, 10, 16), 0, 2 * 2 * 10 * 10 * 16),
        (Function(lambda x: x @ x.mT), (4, 6), 0, 4 * 6 * 4),
    ],
)
def test_hand_counted(network, shape, params, macs):
    assert count(network, shape) == Counts(params, params, macs)


def test_shared_and_frozen_weights():
    layer = nn.Linear(5, 5, bias=False)
    network = nn.Sequential(layer, layer, nn.Linear(5, 5, bias=False))
    network[2].requires_grad_(False)
    assert count(network, (5,)) == Counts(50, 25, 75)


def test_the_network_is_not_touched():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten(), nn.Linear(144, 2))
    network[1].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    identity = {name: id(value) for name, value in network.named_parameters()}
    count(network, (1, 8, 8))
    assert [module.training for module in network] == [True, False, True, True, True]
    assert identity == {name: id(value) for name, value in network.named_parameters()}
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(value.device.type == "cpu" for value in network.state_dict().values())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_the_copy_has_no_numbers_and_keeps_sharing():
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    network = nn.Sequential(first, second)
    network.table = torch.ones(4)
    network.tables = [torch.ones(2)]
    copied = meta_copy(network)
    assert copied[0].weight is copied[1].weight
    assert {tensor.device.type for tensor in copied.state_dict().values()} == {"meta"}
    assert copied.table.device.type == copied.tables[0].device.type == "meta"
    assert network.table.device.type == "cpu"


def test_networks_that_are_on_meta_or_keep_tensors_or_grew_from_a_graph():
    with torch.device("meta"):
        assert count(nn.Linear(4, 3), (4,)).macs == 12
    network = nn.Linear(4, 4)
    network.last = network(torch.ones(1, 4))  # not a leaf of the graph: a plain deepcopy refuses it
    assert count(network, (4,)).macs == 16
    parametrized = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
    assert count(parametrized, (4,)).macs == 16


def test_a_way_that_depends_on_values_is_run_once_on_a_copy():
    def forward(x, layer, norm):
        return layer(x) if norm(layer(x)).abs().sum().item() >= 0 else x

    network = Function(forward, nn.Linear(6, 6), nn.BatchNorm1d(6))
    assert count(network, (6,)).macs == 72
    assert network.inner[1].num_batches_tracked == 0
    assert network.training


def test_a_wrong_input_is_a_clear_error():
    with pytest.raises(TaskError, match=r"shape \(3, 8, 8\)[\s\S]*Why: RuntimeError"):
        count(nn.Conv2d(1, 4, 3), (3, 8, 8))
    with pytest.raises(TaskError, match="lazy"):
        count(nn.LazyLinear(3), (4,))


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [
        # Parameters as torchvision and timm publish them; 1.81 and 0.06 GMACs as in timm's tables.
        ("resnet18", 11_689_512, 1_814_073_344),
        ("mobilenetv3_small_100", 2_542_856, 56_510_400),
    ],
)
def test_published_networks(name, params, macs):
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        network = timm.create_model(name)
    assert count(network, (3, 224, 224)) == Counts(params, params, macs)
