"""The analytical model: published clocks, identities, and bounds."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nasplug_npu import NPU, Batch, area, preset, sweep
from nasplug_npu.model import geometry, precision, sparsity
from nasplug_npu.model.array import array_work
from nasplug_npu.model.layers import layers
from nasplug_npu.model.points import NUMBERS, Points
from nasplug_npu.model.rows import Rows, pack
from nasplug_npu.model.systolic import buffer_accesses
from nasplug_npu.networks import NETWORKS, mobilenet_v1, resnet_cifar
from nasplug_npu.sweeping import grid

from nasplug.workloads.builder import INPUT, WorkloadBuilder

sizes = st.integers(1, 20)


@st.composite
def layer(draw, kinds=("conv", "depthwise", "grouped", "pointwise", "fc", "pool", "add", "matmul")):
    """A network of one layer of any kind, with any precision and sparsity."""
    kind = draw(st.sampled_from(kinds))
    channels, size, kernel, stride = (
        draw(sizes) * 4,
        draw(sizes),
        draw(st.sampled_from((1, 3, 5))),
        draw(st.integers(1, 2)),
    )
    columns = {
        "weight_bits": draw(st.sampled_from((2, 4, 8, 16))),
        "input_bits": draw(st.sampled_from((2, 4, 8, 16))),
        "weight_density": draw(st.sampled_from((1.0, 0.5, 0.1))),
        "input_density": draw(st.sampled_from((1.0, 0.6))),
    }
    network = WorkloadBuilder((channels, size, size))
    if kind == "fc":
        network.fc(INPUT, draw(sizes) * 5)
    elif kind == "pool":
        network.pool("maxpool", INPUT, min(2, size))
    elif kind == "add":
        network.add([INPUT, INPUT])
    elif kind == "matmul":
        network.row("matmul", [INPUT, INPUT], n=4, ci=channels, hi=size, wi=1, co=draw(sizes), ho=size, wo=1)
    else:
        groups = {"conv": 1, "depthwise": channels, "grouped": 4, "pointwise": 1}[kind]
        kernel = 1 if kind == "pointwise" else kernel
        network.conv(INPUT, draw(sizes) * 4 if kind != "depthwise" else channels, kernel, stride, groups=groups)
    found = network.build()
    computing = found.mask("conv", "fc")
    return found.replace(**{name: np.where(computing, value, getattr(found, name)) for name, value in columns.items()})


def model(config, workload):
    return layers(Rows(pack(workload)), Points.of(config))


def amount(config, workload, name):
    return np.broadcast_to(model(config, workload).amounts[name], (len(workload), 1))[:, 0]


def test_mobilenet_fills_the_reshapeable_array():
    workload = mobilenet_v1()
    assert workload.macs.sum() == 568_740_352
    found = NPU("wu32_dense").totals(workload)
    assert found["compute_cycles"] == 17_773_136
    assert found["array_utilisation"] == 1
    assert found["peak_sram_bytes"] == 1176 * 1024  # as Vela 5.2.0 reports
    assert NPU("zigzag_kc_16x16").totals(workload)["compute_cycles"] == 3_423_840


@pytest.mark.parametrize(
    ("network", "shapes", "cycles"),
    [
        ("mobilenet_v1_1.0_224", "fixed:8x4x1", 22_140_800),
        ("mobilenet_v1_0.25_96", "pow2", 234_052),
        ("resnet8", "pow2", 390_676),
        ("ds_cnn", "pow2", 83_024),
    ],
)
def test_clocks_of_small_networks(network, shapes, cycles):
    config = preset("wu32_dense").replace(shapes=shapes)
    assert NPU(config).totals(NETWORKS[network]())["compute_cycles"] == cycles


@settings(max_examples=60, deadline=None)
@given(workload=layer(kinds=("conv", "depthwise", "pointwise", "fc", "matmul")), exponent=st.integers(3, 8))
def test_reshaping_is_never_worse_than_any_shape(workload, exponent):
    base = preset("wu32_dense").replace(macs=2**exponent, weight_port_bits=2**14, input_port_bits=2**14)
    best = amount(base, workload, "compute_cycles")
    for i in range(exponent + 1):
        for j in range(exponent + 1 - i):
            fixed = base.replace(shapes=f"fixed:{2**i}x{2**j}x{2 ** (exponent - i - j)}")
            assert (best <= amount(fixed, workload, "compute_cycles")).all()


@settings(max_examples=100, deadline=None)
@given(
    workload=layer(), name=st.sampled_from(("wu32", "wu32_dense", "systolic_8x8_ws", "ethos_u55_64", "ethos_u85_256"))
)
def test_nothing_is_faster_than_its_multipliers_and_memories(workload, name):
    config = preset(name)
    found = model(config, workload).amounts
    assert (found["slots"] <= config.macs * found["compute_cycles"] + 1e-6).all()
    weights = found["weight_memory_bits"] / 8 / config.weight_bytes_per_cycle
    maps = found["map_memory_bits"] / 8 / config.act_bytes_per_cycle
    assert (found["cycles"] >= np.maximum(weights, maps) - 1e-6).all()
    assert (found["cycles"] >= found["compute_cycles"]).all()


@settings(max_examples=100, deadline=None)
@given(workload=layer(), objective=st.sampled_from(("latency", "traffic", "edp")))
def test_traffic_is_at_least_every_tensor_once(workload, objective):
    config = preset("wu32").replace(objective=objective)
    size = geometry.sizes(Rows(pack(workload)), config.encoding)
    found = model(config, workload).amounts
    assert (found["weight_memory_bits"] >= size.weights).all()
    assert (found["map_memory_bits"] >= size.inputs + size.second + size.outputs - 1e-6).all()


@settings(max_examples=60, deadline=None)
@given(workload=layer(kinds=("conv", "depthwise", "pointwise", "fc", "pool", "matmul")))
def test_large_buffers_read_every_tensor_once(workload):
    config = preset("wu32").replace(weight_kb=2048, input_kb=2048, output_kb=2048, objective="traffic")
    size = geometry.sizes(Rows(pack(workload)), config.encoding)
    found = model(config, workload).amounts
    np.testing.assert_allclose(found["weight_memory_bits"], size.weights + size.biases)
    np.testing.assert_allclose(found["map_memory_bits"], size.inputs + size.second + size.outputs)


@settings(max_examples=60, deadline=None)
@given(
    workload=layer(kinds=("conv", "pointwise", "fc", "depthwise", "grouped")),
    buffer=st.sampled_from(("weight_kb", "input_kb", "output_kb")),
)
def test_larger_buffers_never_read_more(workload, buffer):
    base = preset("wu32_dense").replace(objective="traffic", weight_kb=64, input_kb=64, output_kb=256)
    sizes = (2, 4, 8, 16, 32, 64, 128)
    (points,) = grid(base, {buffer: sizes})
    found = layers(Rows(pack(workload)), points).amounts
    traffic = np.broadcast_to(found["weight_memory_bits"] + found["map_memory_bits"], (1, len(sizes)))[0]
    assert (traffic[1:] <= traffic[:-1] * (1 + 1e-12)).all()


def enumerated(channels, filters, height, bits, config):
    """Least traffic of a pointwise layer over all tiles of channels and positions and all orders, by trying all."""
    half = [size * 8192 / 2 for size in (config.weight_kb, config.input_kb, config.output_kb)]
    weights, inputs, outputs = channels * filters * bits, channels * height * height * bits, filters * height**2 * bits
    areas = [(rows, height) for rows in range(1, height + 1)] + [(1, columns) for columns in range(1, height)]
    whole, cut = np.inf, np.inf
    for wide, (rows, columns) in product(range(1, filters + 1), areas):
        groups, bands, area = -(-filters // wide), -(-height // rows) * -(-height // columns), rows * columns
        again_w, again_i = 1 if weights <= half[0] else bands, 1 if inputs <= half[1] else groups
        parts = wide * channels * bits, area * channels * bits, wide * area * bits
        if all(part <= room for part, room in zip(parts, half, strict=True)):
            whole = min(whole, weights + inputs * again_i, weights * again_w + inputs)
        if wide * area * config.acc_bits <= half[2]:  # the sum is cut as finely as need be
            cut = min(cut, weights * again_w + inputs * again_i)
    return min(whole, cut) + outputs


@settings(max_examples=40, deadline=None)
@given(channels=st.integers(1, 12), filters=st.integers(1, 12), height=st.integers(2, 24))
def test_the_cut_with_the_least_traffic_is_found(channels, filters, height):
    network = WorkloadBuilder((8 * channels, height, height))
    network.conv(INPUT, 4 * filters, 1, bias=False)
    config = preset("wu32_dense").replace(
        objective="traffic", weight_kb=1, input_kb=4, output_kb=2, shapes="fixed:4x1x8"
    )
    found = model(config, network.build())
    assert found.fits.all()
    total = found.amounts["weight_memory_bits"][0, 0] + found.amounts["map_memory_bits"][0, 0]
    least = enumerated(8 * channels, 4 * filters, height, 8, config)
    assert total == pytest.approx(least)


@pytest.mark.parametrize(
    ("weight", "input_", "factor"), [(8, 8, 1), (8, 4, 2), (4, 4, 4), (8, 2, 4), (4, 2, 8), (2, 2, 16)]
)
def test_fusion_follows_bit_fusion(weight, input_, factor):
    workload = resnet_cifar(1).replace(weight_bits=weight, input_bits=input_)
    rows = Rows(pack(workload))
    reduction, channels = precision.fusion(rows, Points.of(preset("wu32")))
    assert set((reduction * channels)[rows.kind("conv", "fc")]) == {factor}
    symmetric = Points.of(preset("wu32").replace(precision="symmetric"))
    assert np.prod([f.max() for f in precision.fusion(rows, symmetric)]) == 8 / max(weight, input_)


def test_wide_operands_take_several_passes():
    config = preset("wu32_dense")
    workload = resnet_cifar(1)
    base = amount(config, workload, "compute_cycles")
    wide = config.replace(weight_port_bits=4096, input_port_bits=4096)
    np.testing.assert_array_equal(
        amount(wide, workload.replace(weight_bits=16, input_bits=16), "compute_cycles")[:-1][base[:-1] > 0],
        4 * base[:-1][base[:-1] > 0],
    )


@given(
    density=st.floats(0.01, 1),
    bits=st.sampled_from((2, 4, 8)),
    encoding=st.sampled_from(("bitmask", "csc", "rle4", "nm2:4", "mlw")),
)
def test_encodings_never_grow_a_tensor(density, bits, encoding):
    stored = precision.stored_bits(bits, density, encoding)
    assert 0 < stored <= bits
    assert precision.stored_bits(bits, density, "dense") == bits


def test_encodings_break_even_where_they_should():
    for bits, density in ((8, 0.875), (4, 0.75), (2, 0.5)):
        assert precision.stored_bits(bits, density, "bitmask") == bits
        assert precision.stored_bits(bits, density - 0.01, "bitmask") < bits
    assert precision.stored_bits(8, 0.5, "csc") == 8
    assert precision.stored_bits(2, 0.2, "csc") == 2
    assert precision.stored_bits(8, 0.5, "nm2:4") == 5


@given(density=st.floats(0.05, 1), lanes=st.integers(1, 64), sync=st.integers(8, 256))
def test_lanes_that_wait_are_slower_but_never_slower_than_dense(density, lanes, sync):
    share = sparsity.slowest_share(density, lanes, sync)
    assert density <= share <= 1
    assert share <= sparsity.slowest_share(density, lanes + 1, sync) + 1e-12
    assert share >= sparsity.slowest_share(density, lanes, 4 * sync) - 1e-12


def test_half_of_the_weights_are_skipped_beyond_the_dense_roof():
    workload = mobilenet_v1().replace(weight_density=0.5)
    dense, sparse = NPU("wu32_dense").totals(workload), NPU("wu32").totals(workload)
    roof = 2 * 32 * 0.2
    assert sparse["gops_dense"] > roof > sparse["gops_effective"]
    assert 0.5 < sparse["compute_cycles"] / dense["compute_cycles"] < 0.8
    gated = NPU(preset("wu32_dense").replace(sparsity="gate")).totals(workload)
    assert gated["cycles"] == dense["cycles"]
    assert gated["energy_multiply_j"] == pytest.approx(0.55 * dense["energy_multiply_j"], rel=0.01)
    structured = NPU(preset("wu32").replace(encoding="nm2:4")).totals(workload)
    assert structured["compute_cycles"] == pytest.approx(dense["compute_cycles"] / 2, rel=0.01)


def closed_form(flow, r, c, summed, filters, positions):
    def folds(a, b):
        return -(-a // r) * -(-b // c)

    if flow == "ws":
        return (2 * r + c + positions - 2) * folds(summed, filters) - 1
    if flow == "is":
        return (2 * r + c + filters - 2) * folds(summed, positions) - 1
    return (r + c + summed - 2) * folds(positions, filters) - 1


@pytest.mark.parametrize("flow", ["ws", "os", "is"])
@pytest.mark.parametrize("size", ["8x4", "8x8", "16x16", "32x32"])
def test_systolic_arrays_take_the_closed_form(flow, size):
    r, c = (int(part) for part in size.split("x"))
    workload = mobilenet_v1(0.25, 96, 2)
    found = amount(preset(f"systolic_{size}_{flow}"), workload, "compute_cycles")
    for row, cycles in enumerate(found):
        if workload.macs[row]:
            units = int(workload.groups[row])
            summed = int(workload.kh[row] * workload.kw[row] * workload.ci[row] // units)
            positions = int(workload.ho[row] * workload.wo[row])
            assert cycles == units * closed_form(flow, r, c, summed, int(workload.co[row]) // units, positions)


def test_structured_weights_shorten_the_sum_of_a_systolic_array():
    config = preset("systolic_16x16_ws").replace(encoding="nm2:4", sparsity="weight_skip")
    network = WorkloadBuilder((16, 8, 8))
    network.conv(INPUT, 16, 3, weight_density=0.5)
    assert amount(config, network.build(), "compute_cycles")[0] == closed_form("ws", 16, 16, 72, 16, 64)


def test_systolic_buffer_accesses():
    network = WorkloadBuilder((16, 8, 8))
    network.conv(INPUT, 40, 3)
    rows = Rows(pack(network.build()))
    wanted = {"ws": (3, 1, 9), "is": (1, 4, 9), "os": (3, 4, 1)}
    for flow, (inputs, weights, outputs) in wanted.items():
        found = buffer_accesses(rows, Points.of(preset(f"systolic_16x16_{flow}")))
        assert [part.item() for part in found] == [64 * 144 * inputs, 144 * 40 * weights, 64 * 40 * outputs]


def test_feature_maps_that_stay_are_not_moved():
    workload = resnet_cifar(1)
    config = preset("wu32").replace(output_kb=64)
    moved, kept = (amount(config.replace(forwarding=on), workload, "map_memory_bits") for on in (False, True))
    assert (kept <= moved).all()
    assert kept[1] < moved[1]  # the first convolution's output has two readers, the second's one
    assert NPU(config.replace(forwarding=True)).totals(workload)["cycles"] <= NPU(config).totals(workload)["cycles"]


@settings(max_examples=30, deadline=None)
@given(workload=layer())
def test_double_buffers_that_cost_no_space_are_never_slower(workload):
    double = preset("wu32_dense").replace(weight_kb=32, input_kb=64, output_kb=32, tile_cycles=0)
    single = double.replace(double=False, weight_kb=16, input_kb=32, output_kb=16)
    assert NPU(double).totals(workload)["cycles"] <= NPU(single).totals(workload)["cycles"] + 1e-6


def test_energy_is_the_sum_of_its_items_and_memory_is_one_of_them():
    workload = resnet_cifar(1)
    config = preset("wu32")
    one = NPU(config).totals(workload)
    two = NPU(config.replace(act_pj_per_bit=2 * config.act_pj_per_bit, weight_pj_per_bit=2 * config.weight_pj_per_bit))
    two = two.totals(workload)
    items = [key for key in one if key.startswith("energy_") and key != "energy_j"]
    assert one["energy_j"] == pytest.approx(sum(one[key] for key in items))
    assert [key for key in items if two[key] != one[key]] == ["energy_memory_j"]
    assert two["energy_memory_j"] == pytest.approx(2 * one["energy_memory_j"])


def test_one_many_layers_and_sweeps_say_the_same():
    networks = [build() for name, build in NETWORKS.items() if name != "mobilenet_v1_1.0_224"]
    for name in ("wu32", "systolic_8x8_os", "ethos_u55_64", "ethos_u85_512", "cortex_m7"):
        unit = NPU(name)
        together = unit.many(networks)
        for place, workload in enumerate(networks):
            alone = unit.totals(workload)
            assert {key: float(value[place]) for key, value in together.items()} == pytest.approx(alone)
            assert unit.evaluate(workload).layers["cycles"].sum() == pytest.approx(alone["cycles"])
    axes = {
        "macs": [16, 64],
        "weight_kb": [4, 64],
        "freq_hz": [1e8, 4e8],
        "act_bytes_per_cycle": [2, 8],
        "node_nm": [45, 22],
    }
    (points,) = grid(preset("wu32"), axes)
    found = sweep(Batch.of([networks[2]]), points)
    for place in range(len(points)):
        alone = NPU(points.config(place)).totals(networks[2])
        assert {key: float(value[place]) for key, value in found.items()} == pytest.approx(alone)


def test_peak_of_what_is_alive():
    assert NPU("wu32").totals(NETWORKS["resnet8"]())["peak_sram_bytes"] == 48 * 1024  # as Vela 5.2.0 reports
    network = WorkloadBuilder((4, 2, 2))
    one, two = network.conv(INPUT, 4, 1), network.conv(INPUT, 4, 1)
    network.conv(network.concat([one, two]), 2, 1)
    assert NPU("wu32").totals(network.build())["peak_sram_bytes"] == 16 + 16 + 16


def test_shapes_of_the_array_use_what_there_is():
    rows = Rows(pack(mobilenet_v1()))
    work = array_work(rows, Points.of(preset("wu32_dense")))
    product = work.reduction * work.channels * work.positions
    assert set(product[rows.mac]) == {32}


@pytest.mark.parametrize("field", NUMBERS)
def test_any_number_can_be_swept_alone(field):
    config, networks = preset("wu32"), [NETWORKS["ds_cnn"]().replace(weight_density=0.5)]
    value = getattr(config, field)
    values = [value, 2 * value] if field not in ("gate_fraction", "max_bits") else [value, value / 2]
    (points,) = grid(config, {field: values})
    found = sweep(Batch.of(networks), points)
    for place in range(2):
        alone = NPU(points.config(place)).totals(networks[0])
        assert {key: float(value[place]) for key, value in found.items()} == pytest.approx(alone)
    assert len(area(points).total_mm2) == 2
