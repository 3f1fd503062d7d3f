"""Ways in which numbers were once wrong without a word: each is right now, or says so."""

from __future__ import annotations

import pytest
import torch
from nasplug_npu import NPU, explore, preset
from nasplug_npu.model.energy import leakage_w
from nasplug_npu.networks import NETWORKS
from torch import nn

from nasplug.workloads.builder import INPUT, WorkloadBuilder
from nasplug.workloads.extract import extract
from nasplug.workloads.onnx import read_onnx


class Recurrent(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x.transpose(0, 1))[0]


def exported(network, shape, path, dynamo):
    torch.onnx.export(network.eval(), (torch.zeros(1, *shape),), str(path), dynamo=dynamo, verbose=False)
    return read_onnx(path)


@pytest.mark.parametrize("dynamo", [False, True])
@pytest.mark.filterwarnings("ignore")
def test_1_the_last_convolution_of_an_onnx_file_has_all_its_pixels(dynamo, tmp_path):
    pytest.importorskip("onnxscript")
    network = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 3, padding=1))
    workload = exported(network, (4, 16, 16), tmp_path / "net.onnx", dynamo)
    assert workload.macs.tolist() == [4 * 8 * 9 * 256, 8 * 4 * 9 * 256]
    assert NPU("wu32_dense").totals(workload)["compute_cycles"] >= 147_456 / 32


@pytest.mark.parametrize("unit", ["wu32", "wu32,unsupported=cpu", "cortex_m7_xcubeai"])
@pytest.mark.parametrize(
    "layer", [nn.Conv3d(4, 6, 3, padding=1), nn.ConvTranspose2d(4, 6, 3), nn.ConvTranspose3d(4, 6, 3)]
)
def test_2_volumes_and_transposed_convolutions_take_the_time_of_their_products(layer, unit):
    workload = extract(layer, (4, *[8] * (layer.weight.dim() - 2)))
    found = NPU(unit).totals(workload)
    products = int(workload.macs.sum())
    assert products >= 4 * 6 * 9 * 64
    assert found["cycles"] >= products / 32
    assert found["flash_bytes"] >= layer.weight.numel()


def test_3_explorations_name_the_layers_that_cost_nothing():
    network = WorkloadBuilder((8, 8, 8))
    network.row("softmax", [network.conv(INPUT, 8, 3)], ci=8, hi=8, wi=8, co=8, ho=8, wo=8, name="attention")
    with pytest.warns(UserWarning, match="no price for 1 layer, such as 'attention'"):
        found = explore(network.build(), preset("wu32"), {"macs": [16, 32]})
    assert found.unpriced == ("attention",)
    assert found.to_json()["unpriced"] == ["attention"]


def test_4_weights_that_are_used_again_are_stored_once():
    network = nn.LSTM(16, 32)
    workload = extract(Recurrent(network), (7, 16))
    matrices = sum(parameter.numel() for parameter in network.parameters() if parameter.dim() > 1)
    stored = NPU("wu32_dense,unsupported=zero").totals(workload)["flash_bytes"]
    # biases of 32 bits, of four gates, twice; and the state that it begins with
    assert stored == matrices + 4 * (2 * 4 * 32 + 32)
    assert workload.macs.sum() == 7 * matrices


def test_5_leakage_follows_the_node():
    leaks = [leakage_w(preset("wu32").replace(node_nm=node)) for node in (65, 45, 22, 7)]
    assert len(set(leaks)) == len(leaks)


@pytest.mark.filterwarnings("ignore")
def test_6_convolutions_of_rows_in_onnx_files_have_products(tmp_path):
    pytest.importorskip("onnxscript")
    network = nn.Sequential(nn.Conv1d(3, 5, 3), nn.ReLU(), nn.Conv1d(5, 2, 4, groups=1))
    workload = exported(network, (3, 20), tmp_path / "net.onnx", False)
    assert workload.macs.tolist() == [3 * 5 * 3 * 18, 5 * 2 * 4 * 15]


def test_7_skipping_pays_for_lanes_that_wait_and_meet_in_banks():
    dense, sparse = NETWORKS["resnet8"](), NETWORKS["resnet8"]().replace(weight_density=0.5)

    def gain(**changes):
        unit = NPU(preset("wu32").replace(**changes))
        plain = NPU(preset("wu32_dense").replace(**changes))
        return plain.totals(dense)["compute_cycles"] / unit.totals(sparse)["compute_cycles"]

    alone, together = gain(shapes="fixed:1x1x32"), gain(shapes="fixed:8x4x1")
    assert together < 0.85 * alone <= 0.85 * 2 + 1e-9
    assert gain(shapes="fixed:8x4x1", input_port_bits=128) < together  # half of the banks
