"""Workloads: what is read off networks, what spaces know, and the way into a file and back."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nasplug.contract.errors import DataError, SpaceError, TaskError
from nasplug.workloads import Workload, WorkloadBuilder
from nasplug.workloads.builder import INPUT

torch = pytest.importorskip("torch")
nn = torch.nn

from nasplug.cost.counts import count  # noqa: E402
from nasplug.workloads.extract import extract  # noqa: E402


def by_hand() -> Workload:
    builder = WorkloadBuilder((3, 8, 8))
    stem = builder.conv(INPUT, 4, 3, 2, post="relu")
    pooled = builder.pool("maxpool", stem, 2)
    wide = builder.conv(pooled, 4, 3, groups=4, bias=False)
    total = builder.add([pooled, wide], post="relu")
    builder.fc(builder.global_pool(total), 10)
    return builder.build()


def test_numbers_by_hand():
    workload = by_hand()
    assert workload.operations == ("conv", "maxpool", "conv", "add", "avgpool", "fc")
    assert workload.macs.tolist() == [4 * 4 * 4 * 27, 0, 2 * 2 * 4 * 9, 0, 0, 40]
    assert workload.weights.tolist() == [108, 0, 36, 0, 0, 40]
    assert workload.outputs.tolist() == [64, 16, 16, 16, 4, 10]
    assert workload.depthwise.tolist() == [False, False, True, False, False, False]
    assert workload.sources == ((-1,), (0,), (1,), (1, 2), (3,), (4,))


def test_round_trip_signature_and_replace():
    workload = by_hand()
    again = Workload.from_json(json.loads(json.dumps(workload.to_json())))
    assert again == workload
    assert again.names == workload.names
    sparse = workload.replace(weight_bits=4, weight_density=0.5, input_bits=8)
    assert sparse != workload
    assert sparse.weight_bits.tolist() == [4, 8, 4, 8, 8, 4]
    assert sparse.weight_density.tolist() == [0.5, 1.0, 0.5, 1.0, 1.0, 0.5]
    assert any("weight_bits" in line for line in workload.differences(sparse))
    assert any("weight_density 1.0 and 0.5" in line for line in workload.differences(sparse))
    for broken in ({}, {**workload.to_json(), "ci": [1]}, {**workload.to_json(), "operation": ["cnov"] * 6}):
        with pytest.raises(DataError, match="not a workload"):
            Workload.from_json(broken)
    with pytest.raises(SpaceError, match="conv"):
        WorkloadBuilder((3, 8, 8)).row("cnov", [INPUT])


@pytest.mark.parametrize(("zeros", "lines"), [(1, 0), (9, 0), (11, 3), (500, 3)])
def test_a_zero_by_chance_is_not_a_difference(zeros, lines):
    workload = by_hand()
    drawn = workload.replace(weight_density=1 - zeros / 10_000)
    assert len(workload.differences(drawn)) == len(drawn.differences(workload)) == lines


class Block(nn.Module):
    """A residual block with everything functional."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.dw = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = torch.relu(self.bn(self.conv(x)))
        y = nn.functional.hardtanh(self.dw(x), 0.0, 6.0) + x
        y = y * torch.sigmoid(y.mean((2, 3), keepdim=True))
        return self.head(nn.functional.adaptive_avg_pool2d(y, 1).flatten(1))


def test_functional_networks_are_read_row_by_row():
    workload = extract(Block(), (3, 9, 9))
    assert workload.operations == ("conv", "conv", "add", "avgpool", "mul", "avgpool", "fc")
    assert workload.post == ("relu", "relu6", "", "sigmoid", "", "", "")
    assert workload.bias.tolist() == [True, True, False, False, False, False, True]
    assert workload.names[:2] == ("conv", "dw")
    assert workload.names[-1] == "head"
    assert workload.ho.tolist()[:2] == [5, 5]
    assert workload.sources == ((-1,), (0,), (1, 0), (2,), (2, 3), (4,), (5,))
    assert workload.macs.sum() == count(Block(), (3, 9, 9)).macs


def test_the_network_is_not_touched():
    network = Block().train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    extract(network, (3, 9, 9))
    assert network.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert not network.conv._forward_hooks


def test_attention_is_its_matrix_products():
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    workload = extract(layer, (7, 16))
    assert workload.operations.count("matmul") == 2
    assert "softmax" in workload.operations
    assert "other" not in workload.operations
    products = 7 * 16 * 48 + 2 * 7 * 7 * 16 + 7 * 16 * 16 + 2 * 7 * 16 * 32
    assert workload.macs.sum() == products


def test_precision_and_sparsity_come_from_the_modules():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1), nn.Flatten(), nn.Linear(4 * 36, 2))
    network[0].weight_bits, network[0].input_bits = 4, 2
    network[1].weight.data[:2] = 0.0
    network[3].weight_density = 0.25
    workload = extract(network, (3, 8, 8), bits=16)
    assert workload.weight_bits.tolist() == [4, 16, 16]
    assert workload.input_bits.tolist() == [2, 16, 16]
    np.testing.assert_allclose(workload.weight_density, [1.0, 0.5, 0.25])


def test_what_has_no_name_is_kept():
    class Odd(nn.Module):
        def forward(self, x):
            return x.roll(1, -1).cumsum(-1)

    workload = extract(Odd(), (1, 4, 4))
    assert set(workload.operations) == {"other"}
    assert any("cumsum" in name for name in workload.names)


def test_networks_that_cannot_be_read_say_why():
    with pytest.raises(TaskError, match="shape"):
        extract(Block(), (5, 9, 9))


@pytest.mark.parametrize(
    ("name", "gmacs"),
    [("resnet18", 1.814), ("mobilenetv2_100", 0.3008), ("efficientnet_b0", 0.3858), ("vit_tiny_patch16_224", 1.2537)],
)
def test_timm_models(name, gmacs):
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        network = timm.create_model(name)
    workload = extract(network, (3, 224, 224))
    assert "other" not in workload.operations
    assert workload.macs.sum() / 1e9 == pytest.approx(gmacs, rel=5e-4)
    assert workload.macs.sum() == count(network, (3, 224, 224)).macs
