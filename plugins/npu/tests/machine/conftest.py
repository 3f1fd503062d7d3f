"""Machines, layers and simulators of these tests."""

from __future__ import annotations

import numpy as np
import pytest
from nasplug_npu.config import NPUConfig
from nasplug_npu.machine.codes import Line, Steps
from nasplug_npu.machine.layers import Coded, Layer
from nasplug_npu.machine.parameters import parameters


def _build(shape="8x4x1", **changes):
    r, c, p = (int(size) for size in shape.split("x"))
    fields = {
        "name": "machine",
        "shapes": f"fixed:{shape}",
        "macs": r * c * p,
        "precision": "none",
        "sparsity": "gate",
        "input_port_bits": 8 * r * p,
        "weight_port_bits": 1024,
        "ppu_per_cycle": min(4, r, c),
        "act_latency": 4,
        "weight_latency": 6,
    }
    return parameters(NPUConfig(**{**fields, **changes}))


def _coded(rng, channels, sums, bits=8, *, signed=True):
    """A rule that spreads the sums over all levels."""
    flat = sums.reshape(channels, -1)
    low, high = flat.min(axis=1), np.maximum(flat.max(axis=1), flat.min(axis=1) + 1)
    levels = (1 << bits) - 1
    zero = 1 << (bits - 1) if signed else 0
    if levels <= 15:
        steps = np.sort(rng.integers(low[:, None], high[:, None] + 1, (channels, levels)), axis=1)
        return Coded(Steps(steps), bits, signed, zero)
    slope = np.maximum((levels + 8) / (high - low) * (1 << 20), 1).astype(np.int64)
    offset = (-low * slope).astype(np.int64) - rng.integers(0, 1 << 22, channels)
    nothing = np.zeros((channels, 0), dtype=np.int64)
    ends = np.zeros(channels, dtype=np.int64)
    line = Line(slope, offset, ends + 20, ends, ends + levels, nothing, nothing)
    at = np.stack([flat[:, 0], flat[:, -1] + 1], axis=1)
    step = np.where(line.levels(at) > 0, -1, 1) * np.array([1, 0])
    return Coded(Line(slope, offset, ends + 20, ends, ends + levels, at, step), bits, signed, zero)


def _layer(rng, inputs, out=8, kernel=3, *, bits=8, weight_bits=8, coded=True, kept=1.0, **settings):
    """A layer with random weights for these inputs."""
    channels, groups = len(inputs), settings.get("groups", 1)
    high = 1 << (weight_bits - 1)
    weights = rng.integers(1 - high, high, (out, channels // groups, kernel, kernel))
    weights = weights * (rng.random(weights.shape) < kept)
    pad = kernel // 2
    settings = {"padding": (pad, pad, pad, pad), **settings}
    plain = Layer("layer", (kernel, kernel), weights, weight_bits, **settings)
    if not coded:
        return plain
    rule = _coded(rng, out, plain.sums(inputs), bits)
    return Layer("layer", (kernel, kernel), weights, weight_bits, coded=rule, **settings)


def _map(rng, *shape, bits=8, signed=True):
    half = 1 << (bits - 1)
    return rng.integers(-half, half, shape) if signed else rng.integers(0, 2 * half, shape)


@pytest.fixture
def build():
    return _build


@pytest.fixture
def coded():
    return _coded


@pytest.fixture
def layer():
    return _layer


@pytest.fixture
def random_map():
    return _map


@pytest.fixture
def rng():
    return np.random.default_rng(0)
