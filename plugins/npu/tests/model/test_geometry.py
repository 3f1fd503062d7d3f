"""What every loop order reads of layers counted by hand: buffers that fit, fit exactly, and do not fit.

All numbers are bytes. The array takes four input channels, one output channel and eight positions, so that groups of
channels may have any size; buffers are not halved, so that a buffer of 2 KiB holds 2 KiB.
"""

from __future__ import annotations

import numpy as np
import pytest
from nasplug_npu import preset
from nasplug_npu.model import tiling
from nasplug_npu.model.layers import layers
from nasplug_npu.model.points import Points
from nasplug_npu.model.rows import Rows, pack

from nasplug.workloads.builder import INPUT, WorkloadBuilder

WEIGHTS, INPUTS, OUTPUTS = 0, 1, 2
BASE = preset("wu32_dense").replace(
    shapes="fixed:4x1x8", double=False, objective="traffic", encoding="dense", forwarding=False
)


@pytest.fixture
def moved(monkeypatch):
    """Reads one layer in one loop order: bytes of weights, second maps, inputs and outputs."""

    def of(build, order, kb, **changes):
        shape, make = build
        network = WorkloadBuilder(shape)
        make(network)
        weight_kb, input_kb, output_kb = kb
        config = BASE.replace(weight_kb=weight_kb, input_kb=input_kb, output_kb=output_kb, **changes)
        monkeypatch.setitem(tiling._COMPARED, "traffic", ((order, tiling.COARSE),))
        found = layers(Rows(pack(network.build())), Points.of(config))
        assert found.fits.all()
        cut = found.tiling
        parts = (cut.weight_bits, cut.second_bits, cut.input_bits, cut.output_bits)
        return tuple(np.broadcast_to(part, (1, 1)).item() / 8 for part in parts)

    return of


def conv(channels, size, filters, kernel=1, stride=1, **rest):
    return (channels, size, size), lambda network: network.conv(INPUT, filters, kernel, stride, bias=False, **rest)


#: 64 * 32 = 2048 bytes of weights, 64 * 16 * 16 = 16384 of inputs, 32 * 16 * 16 = 8192 of outputs.
POINTWISE = conv(64, 16, 32)
#: 16 * 16 * 9 = 2304 bytes of weights; 16 rows of 256 bytes in, as many out.
DENSE = conv(16, 16, 16, kernel=3)
#: The same with 8 rows of outputs, so that bands share one row.
STRIDED = conv(16, 16, 16, kernel=3, stride=2)
#: Windows of five rows, of which bands share four.
DILATED = conv(16, 16, 16, kernel=3, dilation=2, padding=2)
#: 32 units with 9 bytes of weights and 16 rows of 16 bytes.
DEPTHWISE = conv(32, 16, 32, kernel=3, groups=32)
#: 4 units with 4 * 4 * 9 = 144 bytes of weights and 16 rows of 64 bytes.
GROUPED = conv(16, 16, 16, kernel=3, groups=4)


@pytest.mark.parametrize(
    ("build", "order", "kb", "wanted"),
    [
        # Everything fits exactly: every tensor once.
        (POINTWISE, WEIGHTS, (2, 16, 8), (2048, 0, 16384, 8192)),
        (POINTWISE, INPUTS, (2, 16, 8), (2048, 0, 16384, 8192)),
        (POINTWISE, OUTPUTS, (2, 16, 8), (2048, 0, 16384, 8192)),
        # Half of the inputs fit: two bands; the weights fit, so they are read once.
        (POINTWISE, WEIGHTS, (2, 8, 8), (2048, 0, 16384, 8192)),
        (POINTWISE, INPUTS, (2, 8, 8), (2048, 0, 16384, 8192)),
        # Half of the weights fit: two groups; the inputs fit, so they are read once.
        (POINTWISE, WEIGHTS, (1, 16, 8), (2048, 0, 16384, 8192)),
        (POINTWISE, INPUTS, (1, 16, 8), (2048, 0, 16384, 8192)),
        # Half of both fit: what stays is read once, the other twice.
        (POINTWISE, WEIGHTS, (1, 8, 8), (2048, 0, 32768, 8192)),
        (POINTWISE, INPUTS, (1, 8, 8), (4096, 0, 16384, 8192)),
        # A byte less than half of the inputs: 7 rows a band, three bands.
        (POINTWISE, INPUTS, (1, 8 - 1 / 1024, 8), (6144, 0, 16384, 8192)),
        # Half of the outputs fit, both operands do: cutting costs nothing.
        (POINTWISE, WEIGHTS, (2, 16, 4), (2048, 0, 16384, 8192)),
        # Partial sums of four bytes: 2 groups of 16 channels, 16 bands of one row of 1024 bytes.
        (POINTWISE, OUTPUTS, (1, 1, 1), (32768, 0, 32768, 8192)),
        # Windows: 8 rows hold 6 rows of outputs, three bands, each of which reads two rows of the one before again.
        (DENSE, WEIGHTS, (2.25, 4, 4), (2304, 0, 4096, 4096)),
        (DENSE, WEIGHTS, (2.25, 2, 4), (2304, 0, 4096 + 2 * 512, 4096)),
        (DENSE, WEIGHTS, (1.125, 2, 4), (2304, 0, 2 * (4096 + 2 * 512), 4096)),
        (DENSE, INPUTS, (1.125, 2, 4), (3 * 2304, 0, 4096 + 2 * 512, 4096)),
        (DENSE, INPUTS, (2.25, 2, 4), (2304, 0, 4096 + 2 * 512, 4096)),
        # 9 rows hold 4 rows of outputs at stride 2, two bands; 8 rows hold 3, three bands; they share one row.
        (STRIDED, WEIGHTS, (2.25, 2.25, 1), (2304, 0, 4096 + 256, 1024)),
        (STRIDED, WEIGHTS, (2.25, 2, 1), (2304, 0, 4096 + 2 * 256, 1024)),
        # 8 rows hold 4 rows of outputs: four bands that share four rows.
        (DILATED, WEIGHTS, (2.25, 2, 4), (2304, 0, 4096 + 3 * 1024, 4096)),
        # Units share nothing; one of them fits, fits exactly, and does not.
        (DEPTHWISE, WEIGHTS, (1, 1, 1), (288, 0, 8192, 8192)),
        (DEPTHWISE, WEIGHTS, (1, 0.25, 1), (288, 0, 8192, 8192)),
        (DEPTHWISE, WEIGHTS, (1, 0.125, 1), (288, 0, 8192 + 2 * 32 * 32, 8192)),
        (GROUPED, WEIGHTS, (1, 1, 1), (576, 0, 4096, 4096)),
        (GROUPED, WEIGHTS, (1, 0.5, 1), (576, 0, 4096 + 2 * 4 * 128, 4096)),
        (GROUPED, WEIGHTS, (72 / 1024, 0.5, 1), (576, 0, 2 * (4096 + 2 * 4 * 128), 4096)),
        (GROUPED, INPUTS, (72 / 1024, 0.5, 1), (3 * 576, 0, 4096 + 2 * 4 * 128, 4096)),
    ],
)
def test_what_convolutions_move(moved, build, order, kb, wanted):
    assert moved(build, order, kb) == wanted


def test_biases_are_read_once_however_often_weights_are(moved):
    build = (64, 16, 16), lambda network: network.conv(INPUT, 32, 1)
    assert moved(build, INPUTS, (1, 8, 8)) == (4096 + 32 * 4, 0, 16384, 8192)


def test_narrow_operands_move_fewer_bytes(moved):
    build = (64, 16, 16), lambda network: network.conv(INPUT, 32, 1, bias=False, weight_bits=4, input_bits=2)
    assert moved(build, INPUTS, (0.5, 2, 8)) == (2 * 1024, 0, 4096, 8192)


def test_a_dense_layer_is_cut_along_its_outputs(moved):
    build = (256, 1, 1), lambda network: network.fc(INPUT, 64, bias=False)
    for weight_kb in (16, 4, 0.25):
        assert moved(build, WEIGHTS, (weight_kb, 0.25, 1)) == (256 * 64, 0, 256, 64)


@pytest.mark.parametrize(
    ("kb", "wanted"),
    [
        ((1, 1, 1), (0, 2048, 2048, 1024)),
        ((0.5, 0.5, 0.25), (0, 2048, 2048, 1024)),  # a matrix of each operand fits exactly
        ((0.25, 0.25, 0.25), (0, 4096, 2048, 1024)),  # half a matrix of each does
    ],
)
def test_a_product_of_maps_reads_both(moved, kb, wanted):
    build = (
        (32, 16, 1),
        lambda network: network.row("matmul", [INPUT, INPUT], n=4, ci=32, hi=16, wi=1, co=16, ho=16, wo=1),
    )
    assert moved(build, INPUTS, kb) == wanted


def test_an_addition_reads_both_of_its_sources(moved):
    build = (8, 4, 4), lambda network: network.add([INPUT, INPUT])
    assert moved(build, WEIGHTS, (16, 16, 16)) == (0, 0, 2 * 128, 128)


def test_a_pool_reads_its_map_once(moved):
    build = (8, 8, 8), lambda network: network.pool("maxpool", INPUT, 2)
    assert moved(build, WEIGHTS, (16, 16, 16)) == (0, 0, 512, 128)
    assert moved(build, WEIGHTS, (16, 16 / 1024, 16)) == (0, 0, 512, 128)  # two rows of one channel
