"""Workloads of networks with integers, several inputs, masks and recurrent layers: the same products as counted."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nasplug.contract.errors import TaskError
from nasplug.contract.io import Inputs
from nasplug.cost.counts import count_macs
from nasplug.workloads.extract import extract

TOKENS = {"shape": [16], "dtype": "int64", "high": 50}


class Text(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(50, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, tokens, mask):
        return self.head(self.layer(self.embedding(tokens), src_key_padding_mask=mask).mean(1))


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.embedding, self.layer, self.head = nn.Embedding(50, 8), kind(8, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, tokens):
        return self.head(self.layer(self.embedding(tokens))[0][:, -1])


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.record, self.image = nn.Linear(4, 6), nn.Conv2d(3, 6, 3)

    def forward(self, record, image):
        return self.record(record * 2) + self.image(image * 3).mean((2, 3))


@pytest.mark.parametrize(
    ("network", "inputs", "macs"),
    [
        (
            Text(),
            {"tokens": TOKENS, "mask": {"shape": [16], "dtype": "bool"}},
            16 * 256 + 2 * 16 * 16 * 8 + 16 * 256 + 24,
        ),
        (Recurrent(nn.LSTM), TOKENS, 16 * 4 * 5 * (8 + 5) + 15),
        (Recurrent(nn.GRU), TOKENS, 16 * 3 * 5 * (8 + 5) + 15),
        (Two(), [[4], [3, 8, 8]], 24 + 36 * 27 * 6),
    ],
    ids=["masked attention", "LSTM", "GRU", "two inputs"],
)
def test_products_are_those_that_are_counted(network, inputs, macs):
    known = Inputs.of(inputs)
    assert int(extract(network, known).macs.sum()) == count_macs(network, known) == macs


def test_rows_that_read_an_input_have_its_shape():
    workload = extract(Two(), Inputs.of([[4], [3, 8, 8]]))
    rows = [
        (name, int(c), int(h), int(w))
        for name, c, h, w in zip(workload.names, workload.ci, workload.hi, workload.wi, strict=True)
    ]
    assert [row for row in rows if row[0] == "mul"] == [("mul", 4, 1, 1), ("mul", 3, 8, 8)]


def test_constants_other_than_a_first_state_stay_folded():
    class Zeros(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            return self.layer(x) + self.layer(torch.zeros_like(x))

    assert int(extract(Zeros(), (4,)).macs.sum()) == 16


class Pooled(nn.Module):
    """Pools in one to three dimensions, each by windows, to a size, and to one number per channel."""

    def __init__(self, dimensions):
        super().__init__()
        kinds = ("MaxPool", "AvgPool", "AdaptiveAvgPool")
        most, mean, to = (getattr(nn, f"{kind}{dimensions}d") for kind in kinds)
        self.pools = nn.Sequential(most(3, 2, 1), mean(2), to(1))

    def forward(self, x):
        return self.pools(x).sum(tuple(range(2, x.dim())))


@pytest.mark.parametrize(("dimensions", "window", "first"), [(1, (1, 3), 8), (2, (3, 3), 64), (3, (9, 3), 512)])
def test_pools_of_any_dimensions_have_rows_of_their_own(dimensions, window, first):
    workload = extract(Pooled(dimensions), (4, *[16] * dimensions))
    assert workload.operations[:3] == ("maxpool", "avgpool", "avgpool")
    assert (workload.kh[0], workload.kw[0]) == window
    assert list(workload.outputs[:3]) == [4 * first, 4 * 4**dimensions, 4]


def test_inputs_that_do_not_fit_are_named():
    with pytest.raises(TaskError, match=r"cannot be read for 2 inputs: \(4,\) float32, \(7,\) float32"):
        extract(Two(), Inputs.of([[4], [7]]))


def test_the_innermost_module_states_precision():
    """A module inside another one that says something else knows better."""
    inner = nn.Linear(4, 4)
    outer = nn.Sequential(inner)
    outer.weight_bits, inner.weight_bits, outer.input_bits = 8, 2, 4
    found = extract(outer, (4,))
    assert list(found.weight_bits) == [2]
    assert list(found.input_bits) == [4], "what it does not state is said from outside"


@pytest.mark.parametrize(
    ("layer", "shape", "kind"),
    [
        (nn.LayerNorm(4), (3, 4), "norm"),
        (nn.GroupNorm(2, 4), (4, 3, 3), "norm"),
        (nn.Softmax(-1), (4,), "softmax"),
        (nn.LogSoftmax(-1), (4,), "softmax"),
        (nn.Upsample(scale_factor=2), (2, 3, 3), "resize"),
        (nn.Upsample(scale_factor=2, mode="bilinear"), (2, 3, 3), "resize"),
    ],
)
def test_operators_without_products_have_rows_of_their_kind(layer, shape, kind):
    assert kind in list(extract(layer, shape).operations)
