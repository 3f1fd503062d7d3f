"""Random networks: multiply-accumulates by every way into the model are those of torch's own counter."""

from __future__ import annotations

import contextlib
import io
import tempfile
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from nasplug_npu import NPU
from nasplug_npu.formats.scalesim import from_scalesim, to_scalesim, to_scalesim_products

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from torch import nn  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from nasplug.cost.counts import plain_operators  # noqa: E402
from nasplug.export.onnx import exported  # noqa: E402
from nasplug.workloads.extract import extract  # noqa: E402
from nasplug.workloads.onnx import read_onnx  # noqa: E402

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
POOLS = {1: nn.MaxPool1d, 2: nn.AvgPool2d, 3: nn.MaxPool3d}
NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
INSTANCE = {1: nn.InstanceNorm1d, 2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}


class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return x + self.inner(x)


class Tokens(nn.Module):
    """Attention over some positions of a map, and a recurrent layer (not an RNN, whose first product, of a state of
    zeros, our exporter evaluates ahead)."""

    def __init__(self, channels, cell):
        super().__init__()
        self.attention = nn.MultiheadAttention(channels, 2, batch_first=True)
        self.cell = cell(channels, 6, batch_first=True)

    def forward(self, x):
        x = x.flatten(2)[..., :5].transpose(1, 2)
        x = self.attention(x, x, x, need_weights=False)[0]
        return self.cell(x)[0]


@st.composite
def networks(draw):
    """A network of two to five layers of one kind of map, with a head, and the shape of its input."""
    dimensions = draw(st.sampled_from((1, 2, 2, 3)))
    channels = draw(st.sampled_from((2, 4)))
    shape = (channels, *(draw(st.integers(5, 8)) for _ in range(dimensions)))
    layers: list[nn.Module] = []
    kinds = ("plain", "depthwise", "grouped", "transposed", "residual", "pool", "norm", "upsample")
    grown = 0
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=2, max_size=5)):
        grown += kind in ("transposed", "upsample")
        if grown > 1 and kind in ("transposed", "upsample"):  # maps that grow again and again take all the time
            continue
        conv, out = CONVOLUTIONS[dimensions], draw(st.sampled_from((2, 4, 6)))
        if kind == "plain":
            layers.append(conv(channels, out, draw(st.sampled_from((1, 3))), draw(st.sampled_from((1, 2))), 1))
        elif kind == "grouped":
            layers.append(conv(channels, out, 3, padding=2, dilation=2, groups=2))
        elif kind == "transposed":
            layers.append(TRANSPOSED[dimensions](channels, out, draw(st.sampled_from((2, 3))), 2))
        elif kind == "depthwise":
            layers.append(conv(channels, channels, 3, padding=1, groups=channels, bias=False))
        elif kind == "residual":
            layers.append(Residual(nn.Sequential(conv(channels, channels, 3, padding=1), nn.ReLU())))
        elif kind == "pool":
            layers.append(POOLS[dimensions](2, 1))
        elif kind == "norm":
            layers += [draw(st.sampled_from((NORMS, INSTANCE)))[dimensions](channels), nn.SiLU()]
        else:
            layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
        if kind in ("plain", "grouped", "transposed"):
            channels = out
    head = draw(st.sampled_from(("map", "linear", "tokens")))
    if head == "map":
        layers.append(CONVOLUTIONS[dimensions](channels, 3, 1))
    elif head == "linear":
        layers += [nn.Flatten(2), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(channels, 5)]
    else:
        layers.append(Tokens(channels, draw(st.sampled_from((nn.LSTM, nn.GRU)))))
    return nn.Sequential(*layers).eval(), shape


def counted(network, shape):
    with torch.no_grad(), plain_operators(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, *shape))
    return counter.get_total_flops() // 2


def older(network, shape, path):
    with contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(network, (torch.zeros(1, *shape),), str(path), dynamo=False, opset_version=18)
    return path


@seed(19)
@settings(
    max_examples=5, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
@given(drawn=networks())
def test_every_way_in_counts_what_torch_counts(drawn):
    network, shape = drawn
    wanted = counted(network, shape)
    workload = extract(network, shape)
    found = {"module": workload}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found["export"] = extract(torch.export.export(network, (torch.zeros(1, *shape),)).module(), shape)
        found["onnx"] = read_onnx(exported(network, torch.zeros(2, *shape), Path(folder) / "net.onnx"))
        found["older onnx"] = read_onnx(older(network, shape, Path(folder) / "old.onnx"))
    found["csv"] = from_scalesim(to_scalesim_products(workload))
    if not ((workload.dh > 1) | (workload.dw > 1)).any():
        found["csv of convolutions"] = from_scalesim(to_scalesim(workload))
    counts = {way: int(each.macs.sum()) for way, each in found.items()}
    assert counts == dict.fromkeys(found, wanted), counts
    # The model prices all of them; the array is never faster than its multipliers.
    costs = NPU("wu32,unsupported=cpu").totals(workload)
    assert costs["macs"] == wanted
    assert costs["compute_cycles"] >= wanted / 32
