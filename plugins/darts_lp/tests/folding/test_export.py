"""Tests of `nasplug_darts_lp.folding.export`."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.folding import export_onnx, fold, run_onnx
from nasplug_darts_lp.layers.quantise import quantise
from torch import nn

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2))
        self.inner = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1, groups=2), nn.BatchNorm2d(6))
        self.outer = nn.Sequential(nn.Conv2d(6, 6, 1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 6, 1))
        self.pool, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(6, 3)

    def forward(self, x):
        x = self.stem(x)
        x = torch.relu(self.inner(x) + x)
        return self.head(self.pool(self.outer(x)).flatten(1))


@pytest.mark.slow
def test_onnx_has_whole_number_operators_and_the_same_results(tmp_path):
    import onnx

    torch.manual_seed(0)
    network = quantise(Small(), weight_bits=2, activation_bits=3)
    network(torch.randn(8, 3, 8, 8))
    folded = fold(network, (3, 8, 8))
    path = export_onnx(folded, tmp_path / "folded.onnx")
    kinds = [node.op_type for node in onnx.load(path).graph.node]
    assert kinds.count("ConvInteger") == 4
    assert kinds.count("MatMulInteger") == 1
    assert not {"Conv", "MatMul", "Gemm", "BatchNormalization"} & set(kinds)
    images = torch.randn(7, 3, 8, 8)
    assert torch.equal(run_onnx(path, images)[0], network.eval()(images))


@pytest.mark.slow
@pytest.mark.parametrize("activations", ["double_st", "lsq"])
def test_the_network_in_floating_point_can_be_written_too(tmp_path, activations):
    """The core's export, of the quantised network as it was trained and not of the folded one."""
    from nasplug.export.onnx import write_onnx

    torch.manual_seed(0)
    network = quantise(Small(), weight_bits=2, activation_bits=3, activations=activations)
    network(torch.randn(8, 3, 8, 8))
    assert write_onnx(network, (3, 8, 8), tmp_path / "network.onnx") < 1e-3
    assert network.stem[0].input_quantiser.training is False
    assert type(network.stem[0].input_quantiser).__name__ != "Static"
