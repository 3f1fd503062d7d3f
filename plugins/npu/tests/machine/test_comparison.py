"""Layers as rows of the model, and the model's clocks beside the functional model's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from nasplug_npu.machine.comparison import predict
from nasplug_npu.machine.compiler import Compiler
from nasplug_npu.machine.layers import Layer
from nasplug_npu.machine.parameters import parameters
from nasplug_npu.machine.planning import plan
from nasplug_npu.machine.samples import KINDS, code, draw
from nasplug_npu.machine.units import unit

from nasplug.contract.errors import SpecError


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "maxpool"])  # pools are short
def test_layers_of_networks_are_within_ten_percent(kind):
    config = unit("dense")
    build = parameters(config)
    sample = draw(kind, np.random.default_rng(5), scale=2, most=24, even=True)
    source = Compiler(build).input(*sample.inputs.shape, 8, signed=sample.signed)
    found = predict(config, sample.layer, sample.inputs.shape, 8)
    clocks = plan(build, sample.layer, source).clocks
    assert abs(found.clocks / clocks - 1) < 0.1
    assert found.clocks > found.compute


def test_clocks_of_the_array_by_hand():
    """16 to 8 channels, 3 x 3, 5 x 5 positions, on 8 x 4 multipliers: 9 taps, 2 blocks, 2 chunks, 25 positions."""
    layer = Layer("conv", (3, 3), np.ones((8, 16, 3, 3), dtype=np.int64), padding=(1, 1, 1, 1))
    assert predict(unit("dense"), layer, (16, 5, 5), 8).compute == 9 * 2 * 2 * 25


def test_layers_that_fit_no_buffer_are_refused():
    layer = Layer("conv", (3, 3), np.ones((8, 8, 3, 3), dtype=np.int64))
    with pytest.raises(SpecError, match="conv does not fit the buffers"):
        predict(unit("dense", input_kb=0.001), layer, (8, 64, 64), 8)


@pytest.mark.parametrize(("channels", "side", "bits"), [(16, 8, 4), (24, 6, 4), (32, 4, 4), (64, 2, 4), (32, 4, 8)])
def test_layers_that_only_code_again_load_their_records(channels, side, bits):
    """Codes of 4 bits have 15 thresholds in each channel, so that records are most of what is loaded."""
    config, rng = unit("dense"), np.random.default_rng(3)
    coded = code(rng.integers(-128, 128, (channels, side, side)), bits, rng)
    weights = np.ones((channels, 1, 1, 1), dtype=np.int64)
    layer = Layer("again", (1, 1), weights, groups=channels, coded=replace(coded, bits=8))
    assert coded.rule.words == coded.rule.records().shape[1]
    build = parameters(config)
    source = Compiler(build).input(channels, side, side, 8, signed=True)
    found = predict(config, layer, (channels, side, side), 8)
    assert abs(found.clocks / plan(build, layer, source).clocks - 1) < 0.15
    assert found.clocks > coded.rule.words * channels
