"""Layers as the model sees them, so that its clocks stand beside those of the hardware."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasplug.contract.errors import SpecError
from nasplug.workloads.builder import INPUT, WorkloadBuilder
from nasplug_npu.config import NPUConfig
from nasplug_npu.machine.layers import Layer
from nasplug_npu.model.layers import BOUNDS, Layers, layers
from nasplug_npu.model.points import Points
from nasplug_npu.model.rows import COLUMNS, Array, Rows, pack


@dataclass(frozen=True)
class Predicted:
    """What the model says of a layer.

    Attributes:
        clocks: Clocks of the whole layer.
        compute: Clocks of the array, or of the post-process unit where the array does nothing.
        bands: Tiles along rows.
        groups: Tiles along channels.
        bound: Part of the unit that the layer waits for.
    """

    clocks: float
    compute: float
    bands: int
    groups: int
    bound: str


def add_row(builder: WorkloadBuilder, layer: Layer, source: int, bits: int) -> int:
    """A layer as a row of a workload; its number.

    Args:
        builder: Builder of the workload.
        layer: The layer.
        source: Row that it reads.
        bits: Width of its inputs.
    """
    n, channels, height, width = builder.shape(source)
    ho, wo = layer.out_size(height, width)
    (kh, kw), top, left = layer.kernel, layer.padding[0], layer.padding[1]
    if layer.two:  # one map above the other, of which every window has a row
        taps = {"kh": 2, "sh": 2, "hi": 2 * height, "ph": 0, "kw": 1, "sw": 1, "pw": 0, "ho": ho, "wo": wo}
        more = {"dh": 1, "dw": 1, "co": channels, "n": n, "groups": channels, "input_bits": bits, "bias": True}
        assert layer.coded is not None
        bytes_ = {"output_bits": layer.coded.bits, "weight_bits": layer.weight_bits}
        return builder.row("conv", [source], layer.name, **taps, **more, **bytes_)
    shapes = {"kh": kh, "kw": kw, "sh": layer.stride, "sw": layer.stride, "ph": top, "pw": left, "ho": ho, "wo": wo}
    shapes |= {"dh": layer.dilation, "dw": layer.dilation, "co": layer.out_channels(channels), "n": n}
    out_bits = bits
    if layer.weights is not None:
        out_bits = 32 if layer.coded is None else layer.coded.bits
    columns = {**shapes, "input_bits": bits, "output_bits": out_bits, "groups": layer.groups}
    if layer.weights is None:
        return builder.row("maxpool", [source], layer.name, **columns | {"groups": 1})
    columns |= {"weight_bits": layer.weight_bits, "bias": layer.coded is not None}
    density = np.count_nonzero(layer.weights) / layer.weights.size
    return builder.row("conv", [source], layer.name, **columns, weight_density=max(density, 1e-9))


def predict(config: NPUConfig, layer: Layer, shape: tuple[int, int, int], bits: int) -> Predicted:
    """What the model says of one layer on a unit.

    With the weights of a channel comes not one word of bias, but the record by which its sums become codes.

    Args:
        config: The unit.
        layer: The layer.
        shape: Shape of its input (C, H, W).
        bits: Width of its inputs.

    Raises:
        SpecError: The layer does not fit the buffers of the unit.
    """
    builder = WorkloadBuilder(shape, bits)
    add_row(builder, layer, INPUT, bits)
    matrix = pack(builder.build())
    if layer.coded is not None:
        matrix[:, COLUMNS.index("bias")] = layer.coded.rule.words
    found = layers(Rows(matrix), Points.of(config))
    if not found.fits.all():
        raise SpecError(
            f"{layer.name} does not fit the buffers of {config.name}", where="npu machine", fix="larger ones"
        )
    return _predicted(found, 0)


def _predicted(found: Layers, row: int) -> Predicted:
    def of(values: Array) -> float:
        return float(np.broadcast_to(values, (len(found.bound), 1))[row, 0])

    cut, amounts = found.tiling, found.amounts
    compute = max(of(amounts["compute_cycles"]), of(amounts["post_cycles"]))
    bands, tiles = of(cut.bands), of(cut.tiles)
    bound = BOUNDS[int(found.bound[row, 0])]
    return Predicted(of(amounts["cycles"]), compute, int(bands), round(tiles / bands), bound)
