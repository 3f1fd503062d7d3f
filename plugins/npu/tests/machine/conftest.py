"""Machines, layers and simulators of these tests."""

from __future__ import annotations

import numpy as np
import pytest
from nasplug_npu.config import NPUConfig
from nasplug_npu.machine.layers import Layer
from nasplug_npu.machine.parameters import parameters
from nasplug_npu.machine.samples import code


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
    rule = code(plain.sums(inputs), bits, rng)
    return Layer("layer", (kernel, kernel), weights, weight_bits, coded=rule, **settings)


def _map(rng, *shape, bits=8, signed=True):
    half = 1 << (bits - 1)
    return rng.integers(-half, half, shape) if signed else rng.integers(0, 2 * half, shape)


@pytest.fixture
def build():
    return _build


@pytest.fixture
def layer():
    return _layer


@pytest.fixture
def random_map():
    return _map


@pytest.fixture
def rng():
    return np.random.default_rng(0)
