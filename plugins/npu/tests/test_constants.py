"""What memories and arithmetic cost at other processes, and by tables of one's own."""

from __future__ import annotations

import json

import numpy as np
import pytest
from nasplug_npu import NPU, NPUConfig, area, explore, preset, sweep
from nasplug_npu.constants import memory, of, shipped
from nasplug_npu.networks import NETWORKS
from nasplug_npu.sweeping import grid

from nasplug.contract.errors import DataError

OWN = """
source: made up for this test
node_nm: 28
vdd: 0.8
arithmetic: {product_8x8: 0.64, add_linear: 0.01, leak_multiplier_per_bit2: 0.5, leak_adder_per_bit: 0.25}
sram: {word_bits: 64, read: 6.4, write: 12.8, area: 0.01, area_exponent: 1, leak: 0.5, leak_exponent: 1}
gate_um2: 0.5
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "28nm.yaml"
    path.write_text(OWN)
    return str(path)


@pytest.mark.parametrize(
    ("node", "read", "write", "size", "leak"),
    [
        (65, 1.955 * 16**0.585, 3.029 * 16**0.446, 0.00828 * 16**0.986, 0.0361 * 16**0.958),
        (45, 1.155 * 16**0.549, 1.475 * 16**0.448, 0.00399 * 16**0.992, 0.0141 * 16**0.965),
        (22, 0.343 * 16**0.562, 0.438 * 16**0.464, 0.00101 * 16**0.995, 0.134 * 16**0.961),
    ],
)
def test_nodes_of_the_table_are_read_from_it(node, read, write, size, leak):
    assert memory("read", 16, 64, node_nm=node) * 64 == pytest.approx(read)
    assert memory("write", 16, 64, node_nm=node) * 64 == pytest.approx(write)
    assert memory("area", 16, node_nm=node) == pytest.approx(size)
    assert memory("leak", 16, node_nm=node) == pytest.approx(leak)


def test_words_that_a_node_lacks_relate_as_where_there_are_several():
    ratio = memory("read", 16, 128) / memory("read", 16, 64)
    assert memory("read", 16, 128, node_nm=22) == pytest.approx(memory("read", 16, 64, node_nm=22) * ratio)


def test_nodes_between_and_beyond():
    nodes = np.array([90.0, 65.0, 55.0, 45.0, 28.0, 22.0, 11.0])
    for quantity in ("read", "write", "area"):
        values = memory(quantity, 32, 64, node_nm=nodes)
        assert (np.diff(values) < 0).all()
        np.testing.assert_allclose(values, [memory(quantity, 32, 64, node_nm=node) for node in nodes])
    assert memory("area", 32, node_nm=11) == pytest.approx(memory("area", 32, node_nm=22) / 4)
    assert memory("leak", 32, node_nm=11) == pytest.approx(memory("leak", 32, node_nm=22) / 2)
    assert memory("read", 8, 64, "horowitz", 22.5) == pytest.approx(memory("read", 8, 64, "horowitz") / 2)


def test_leakage_and_area_follow_the_node():
    def leak(**changes):
        unit = preset("wu32").replace(**changes)
        found = NPU(unit).totals(NETWORKS["resnet8"]())
        return found["energy_leakage_j"] / found["latency_s"]

    memories = sum(0.0141 * size**0.965 for size in (16, 32, 16)) * 1e-3
    logic = 32 * (0.078125 * 64 + 0.075 * 32) * 1e-6
    assert leak() == pytest.approx(memories + logic)
    # CACTI's low operating power leaks most at 22 nm, and more at 65 than at 45.
    assert leak(node_nm=22) > leak(node_nm=65) > leak(node_nm=45)
    assert len({leak(node_nm=node) for node in (90, 65, 45, 32, 22, 14, 7)}) == 7
    assert leak(vdd=0.45) == pytest.approx(leak() / 2)
    assert area(preset("wu32").replace(node_nm=65)).memory_mm2 == pytest.approx(
        sum(0.00828 * size**0.986 for size in (16, 32, 16))
    )


def test_a_file_replaces_what_it_states(own):
    config = preset("wu32_dense").replace(constants=own, node_nm=28, vdd=0.8, max_bits=8, acc_bits=32)
    workload = NETWORKS["ds_cnn"]()
    found = NPU(config).totals(workload)
    assert found["energy_multiply_j"] == pytest.approx(workload.macs.sum() * (0.64 + 32 * 0.01) * 1e-12)
    watts = (0.5 * 64 * 1e-3) + 32 * (0.5 * 64 + 0.25 * 32) * 1e-6
    assert found["energy_leakage_j"] == pytest.approx(watts * found["latency_s"])
    assert area(config).memory_mm2 == pytest.approx(0.01 * 64)
    assert area(config).logic_mm2 == pytest.approx(sum(area(config).gates.values()) * 0.5e-6)
    assert of(config).arithmetic["register_per_bit"] == shipped().arithmetic["register_per_bit"]
    # Half of the voltage, a quarter of the energy of whatever switches inside.
    half = NPU(config.replace(vdd=0.4)).totals(workload)
    for item in ("multiply", "register", "buffer", "post"):
        assert half[f"energy_{item}_j"] == pytest.approx(found[f"energy_{item}_j"] / 4)


def test_configurations_with_a_file_are_stored_swept_and_explored(own):
    config = preset("wu32").replace(constants=own, weight_kb=4096)  # beyond the shipped tables
    assert NPUConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    (points,) = grid(config, {"macs": [16, 32], "node_nm": [28, 45]})
    together = sweep(NETWORKS["ds_cnn"](), points)
    for place in range(4):
        alone = NPU(points.config(place)).totals(NETWORKS["ds_cnn"]())
        assert together["energy_j"][place] == pytest.approx(alone["energy_j"])
    found = explore(NETWORKS["ds_cnn"](), config, {"macs": [16, 32, 64], "input_kb": [8, 16]})
    everything = explore(NETWORKS["ds_cnn"](), config, {"macs": [16, 32, 64], "input_kb": [8, 16]}, prune=False)
    np.testing.assert_array_equal(found.values, everything.values)


def test_a_file_that_changes_is_read_again(own, tmp_path):
    import os

    before = of(preset("wu32").replace(constants=own)).gate_um2
    (tmp_path / "28nm.yaml").write_text("gate_um2: 0.25\n")
    os.utime(own, ns=(1, 1))
    assert (before, of(preset("wu32").replace(constants=own)).gate_um2) == (0.5, 0.25)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1]", "not a file of constants"),
        ("a: [", "not YAML"),
        ("gate: 1", "did you mean 'gate_um2'"),
        ("gate_um2: big", "give a number"),
        ("gate_um2: 0", "above 0"),
        ("node_nm: .inf", "finite"),
        ("arithmetic: {add_lin: 1}", "did you mean 'add_linear'"),
        ("arithmetic: {add_linear: -1}", "at least 0"),
        ("arithmetic: 3", "quantity: value"),
        ("sram: []", "there is no memory"),
        ("sram: [3]", "not a table of values"),
        ("sram: {read: 1, write: 1, area: 1}", "has no leak"),
        ("sram: {read: 1, write: 1, area: 1, leak: 1, words: 2}", "did you mean 'word_bits'"),
    ],
)
def test_what_a_file_gets_wrong_is_named(text, said, tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        of(preset("wu32").replace(constants=str(path)))


def test_a_file_that_is_missing():
    with pytest.raises(DataError, match="check the path"):
        of(preset("wu32").replace(constants="gone.yaml"))
