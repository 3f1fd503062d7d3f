"""One bits: patterns of every format, what counts in a network, and how often it is used."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from nasplug_emonas.boo.bits import bounds, encode, ones, patterns_of, popcount, scale_of
from nasplug_emonas.boo.cost import Boo
from nasplug_emonas.boo.counting import count, counted
from nasplug_emonas.boo.formats import BitFormat
from torch import nn

from nasplug.contract.errors import SpecError, TaskError, TrialError
from nasplug.cost.counts import count as core_count
from nasplug.cost.modules import BY_WEIGHTS, macs_by_module
from nasplug.testing import run_search

FLOATS = ("float32", "float16", "bfloat16")


def reference(value: float, text: str, largest: float = 1.0) -> int:
    """Ones of one weight, by Python's integers and NumPy's bytes."""
    form = BitFormat.parse(text)
    if form.name == "float32":
        return int(np.float32(value).view(np.uint32)).bit_count()
    if form.name == "float16":
        return int(np.float16(value).view(np.uint16)).bit_count()
    if form.name == "bfloat16":
        bits = int(np.float32(value).view(np.uint32))
        lower, upper = bits & 0xFFFF, bits >> 16
        return (upper + (lower > 0x8000 or (lower == 0x8000 and upper & 1 == 1))).bit_count()
    top = 2 ** (form.bits - 1) - 1
    step = largest / top if form.fraction is None else 2.0**-form.fraction
    low = -top - 1 if form.fraction is not None and form.code == "twos_complement" else -top
    integer = min(max(round(value / step), low), top)
    if form.code == "sign_magnitude":
        return abs(integer).bit_count() + (integer < 0)
    return (integer % 2**form.bits).bit_count()


@pytest.mark.parametrize(
    ("value", "form", "expected"),
    [
        (1.0, "float32", 7),
        (-1.0, "float32", 8),
        (0.0, "float32", 0),
        (-0.0, "float32", 1),
        (1.0, "float16", 4),
        (1.0, "bfloat16", 7),
        (-1 / 128, "Q0.7", 8),
        (-1 / 128, "Q0.7/sign_magnitude", 2),
        (-1.0, "Q0.7", 1),
        (-1.0, "Q0.7/sign_magnitude", 8),
        (1.5, "Q2.5", 2),
        (2.5 / 128, "Q0.7", 1),  # ties go to the even integer 2
        (-(2.0**-16), "Q15.16", 32),
        (1.0, "int8", 7),
        (0.0, "int8", 0),
    ],
)
def test_known_patterns(value, form, expected):
    assert ones(torch.tensor([value]), BitFormat.parse(form)) == expected


@pytest.mark.parametrize("code", ["twos_complement", "sign_magnitude"])
@pytest.mark.parametrize("bits", [2, 5, 8, 16])
def test_minus_one_in_both_codes(bits, code):
    pattern = encode(torch.tensor([-1]), BitFormat.parse(f"int{bits}/{code}"))
    assert int(popcount(pattern)) == (bits if code == "twos_complement" else 2)


def test_popcount_is_that_of_python():
    rng = np.random.default_rng(0)
    words = np.concatenate([rng.integers(0, 2**32, 2000), [0, 1, 2**31, 2**32 - 1]]).astype(np.uint32)
    expected = [int(word).bit_count() for word in words]
    assert popcount(torch.from_numpy(words.view(np.int32).copy())).tolist() == expected
    assert popcount(torch.from_numpy(words.astype(np.int64))).tolist() == expected


@pytest.mark.parametrize(
    "form",
    [*FLOATS, "int2", "int4/sign_magnitude", "int8", "int16/sign_magnitude", "Q0.7", "Q2.5/sign_magnitude", "Q3.20"],
)
def test_totals_are_those_of_plain_python(form):
    weights = torch.randn(7, 5, 3, generator=torch.Generator().manual_seed(1)) * 0.3
    largest = float(weights.abs().max())
    expected = sum(reference(value, form, largest) for value in weights.flatten().tolist())
    assert ones(weights, BitFormat.parse(form)) == expected


def test_blocks_change_nothing():
    weights = torch.randn(70_001, generator=torch.Generator().manual_seed(2))
    for text in ("float32", "int8/sign_magnitude", "Q1.14"):
        form = BitFormat.parse(text)
        assert ones(weights, form) == int(popcount(patterns_of(weights, form)).sum())


@pytest.mark.parametrize("code", ["twos_complement", "sign_magnitude"])
def test_a_scale_per_channel_is_a_scale_per_row(code):
    weights = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(3))
    weights[1] *= 100
    weights[2] = 0
    form, whole = BitFormat.parse("int8", code, per_channel=True), BitFormat.parse("int8", code)
    assert ones(weights, form) == sum(ones(row, whole) for row in weights)
    assert ones(weights.transpose(0, 1), form, axis=1) == ones(weights, form)
    assert scale_of(weights[0, 0, 0], form).dim() == 0


def test_the_published_means_of_gaussian_weights():
    """Mean ones per weight of 100,000 Gaussian draws of deviation 0.02, as in the README."""
    weights = torch.randn(100_000, generator=torch.Generator().manual_seed(0)) * 0.02
    means = {"float32": 16.69, "float16": 7.18, "bfloat16": 8.69, "int8": 3.99, "int8/sign_magnitude": 3.04}
    means |= {"int4": 1.71, "Q0.7": 3.59, "Q0.7/sign_magnitude": 1.51, "Q0.15": 8.01, "Q0.15/sign_magnitude": 5.30}
    for form, mean in means.items():
        assert ones(weights, BitFormat.parse(form)) / 100_000 == pytest.approx(mean, abs=0.06)


def test_integers_stay_within_their_bounds():
    for text, expected in {"int8": (-127, 127), "Q0.7": (-128, 127), "Q0.7/sign_magnitude": (-127, 127)}.items():
        assert bounds(BitFormat.parse(text)) == expected


def test_weights_that_are_not_finite():
    broken = torch.tensor([0.5, math.nan])
    with pytest.raises(TrialError, match="not finite"):
        ones(broken, BitFormat.parse("int8"))
    assert ones(broken, BitFormat.parse("float32")) > 0
    assert ones(torch.zeros(3), BitFormat.parse("int8")) == ones(torch.zeros(0), BitFormat.parse("int8")) == 0
    assert ones(torch.tensor([1.0 - 1.0j]), BitFormat.parse("float32")) == 7 + 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("int1",), "no bit format 'int1'"),
        (("int17",), "int2 to int16"),
        (("Q0.0",), "Qm.n"),
        (("Q16.16",), "Qm.n"),
        (("flaot32",), "float32"),
        (("int8", "sign_magnitud"), "did you mean 'sign_magnitude'"),
        (("int8/ones",), "no code 'ones'"),
        (("float32/sign_magnitude",), "one code only"),
        (("float16", "twos_complement", True), "no scale"),
        (("Q0.7", "twos_complement", True), "scale of Q0.7 is fixed"),
    ],
)
def test_bad_formats_are_named(arguments, message):
    with pytest.raises(SpecError, match=message):
        BitFormat.parse(*arguments)


def test_labels_are_read_back():
    for text in (*FLOATS, "int8/sign_magnitude", "Q3.4/twos_complement"):
        assert BitFormat.parse(text).label == text


class Tied(nn.Module):
    """The second product uses the weights of the first, and belongs to a module without weights."""

    def __init__(self):
        super().__init__()
        self.inside = nn.Linear(4, 4, bias=False)
        self.again = nn.Sequential(nn.Flatten())
        self.tied = nn.Linear(4, 4, bias=False)
        self.tied.weight = self.inside.weight

    def forward(self, x):
        return nn.functional.linear(self.tied(self.inside(x)), self.inside.weight)


def test_what_counts_in_a_network():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ConvTranspose2d(2, 3, 1), nn.LayerNorm(4))
    names = [weights.name for weights in counted(network)]
    assert names == ["0.weight", "2.weight"]
    assert [weights.axis for weights in counted(network)] == [0, 1]
    biases = {weights.name for weights in counted(network, include_bias=True)} - set(names)
    assert biases == {"0.bias", "2.bias"}
    norms = {weights.name for weights in counted(network, include_bn=True)} - set(names)
    assert norms == {"1.weight", "1.bias", "3.weight", "3.bias"}
    assert [weights.name for weights in counted(Tied())] == ["inside.weight"]
    assert {w.name for w in counted(nn.MultiheadAttention(4, 2))} == {"in_proj_weight", "out_proj.weight"}


def test_uses_of_weights_are_counted_per_module():
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 3, stride=2, groups=4), nn.Flatten(), nn.Linear(36, 5)
    )
    macs = macs_by_module(network, (3, 8, 8), operators=BY_WEIGHTS)
    assert (macs["0"], macs["2"], macs["4"]) == (8 * 27 * 64, 4 * 2 * 9 * 9, 180)
    assert sum(macs.values()) == core_count(network, (3, 8, 8)).macs
    form = BitFormat.parse("float32")
    found = count(network, form, (3, 8, 8))
    per_layer = [ones(network[place].weight, form) for place in (0, 2, 4)]
    assert found.ones == sum(per_layer)
    assert found.weights == 216 + 72 + 180
    # Every weight of a convolution is used once for each pixel of the output.
    assert found.adds == pytest.approx(64 * per_layer[0] + 9 * per_layer[1] + per_layer[2])
    assert found.mean == found.ones / 468
    assert found.density == found.mean / 32
    assert found.per_mac == found.adds / found.macs


def test_attention_counts_its_projections_only():
    network = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    macs = macs_by_module(network, (5, 16), operators=BY_WEIGHTS)
    projections = 5 * 16 * 48 + 5 * 16 * 16
    assert macs["self_attn"] == projections
    assert sum(macs.values()) == projections + 2 * 5 * 16 * 32 < core_count(network, (5, 16)).macs


def test_products_of_nobody_are_priced_at_the_mean():
    found = count(Tied(), BitFormat.parse("float32"), (4,))
    assert found.macs == 3 * 16
    assert found.adds == pytest.approx(48 * found.mean)
    empty = count(nn.Flatten(), BitFormat.parse("float32"), (4,))
    assert (empty.ones, empty.mean, empty.density, empty.per_mac) == (0, 0.0, 0.0, 0.0)


def test_a_network_that_decides_by_values_and_one_that_cannot_run():
    class Deciding(nn.Sequential):
        def forward(self, x):
            return super().forward(x) if float(x.sum()) == 0 else x

    assert sum(macs_by_module(Deciding(nn.Linear(4, 2)), (4,), operators=BY_WEIGHTS).values()) == 8
    with pytest.raises(TaskError, match=r"shape \(7,\)"):
        count(nn.Linear(4, 2), BitFormat.parse("int8"), (7,))


def test_an_evaluator_that_trains_nothing_is_named():
    with pytest.raises(SpecError, match="the evaluator gave no trained network"):
        run_search("random", costs={"boo": Boo()}, trials=1)


@pytest.mark.parametrize(
    ("name", "bits"), [("float32", 32), ("float16", 16), ("bfloat16", 16), ("int8", 8), ("Q2.5", 8)]
)
def test_formats_have_the_bits_of_their_standard(name, bits):
    assert BitFormat.parse(name).bits == bits
