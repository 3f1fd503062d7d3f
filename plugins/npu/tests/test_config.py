"""Configurations: checked, stored, changed by name; presets and constants with their sources."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from nasplug_npu import NPUConfig, RateConfig, constants, preset, preset_names
from nasplug_npu.model.points import NUMBERS, Points
from nasplug_npu.presets import parse
from nasplug_npu.sweeping import grid

from nasplug.contract.errors import DataError, NasplugError, SpecError, UnknownNameError


@pytest.mark.parametrize("name", preset_names())
def test_presets_say_where_they_are_from_and_survive_storage(name):
    config = preset(name)
    assert config.name == name
    assert len(config.source) > 20
    assert type(config).from_json(config.to_json()) == config
    if isinstance(config, NPUConfig):
        assert NPUConfig.from_yaml(config.to_yaml()) == config


def test_the_named_presets_are_there():
    wanted = {"wu32", "wu32_dense", "cortex_m7", "eyeriss_hwnb", "zigzag_kc_16x16"}
    wanted |= {f"ethos_u55_{macs}" for macs in (32, 64, 128, 256)}
    wanted |= {f"systolic_{n}x{n}_{flow}" for n in (8, 16, 32) for flow in ("ws", "os", "is")}
    assert wanted <= set(preset_names())


def test_yaml_files(tmp_path):
    file = tmp_path / "unit.yaml"
    file.write_text("macs: 64\nshapes: fixed:8x8x1\nprecision: none\n")
    assert NPUConfig.from_yaml(file).shape == (8, 8, 1)
    with pytest.raises(SpecError, match="not a configuration"):
        NPUConfig.from_yaml("- 1")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"macs": 48}, "power of two"),
        ({"shapes": "fixed:8x8x1"}, "does not use the multipliers"),
        ({"shapes": "round"}, "fixed:8x4x1"),
        ({"freq_hz": 0}, "freq_hz must be above zero"),
        ({"freq_hz": "fast"}, "give a number"),
        ({"macs": 32.5}, "give an integer"),
        ({"double": 1}, "true or false"),
        ({"dataflow": "tre"}, "did you mean 'tree'"),
        ({"encoding": "zip"}, "bitmask"),
        ({"encoding": "nm5:4"}, "larger than M"),
        ({"brick_bits": 16}, "wider than the native"),
        ({"dataflow": "systolic_ws"}, "one shape"),
        ({"dataflow": "ethos_u55"}, "cannot skip zeros"),
        ({"ppu_operations": ["ad"]}, "did you mean 'add'"),
        ({"mac": 2}, "did you mean 'macs'"),
    ],
)
def test_impossible_units_are_refused(changes, said):
    with pytest.raises(NasplugError, match=said):
        NPUConfig().replace(**changes)


def test_names_carry_changes():
    config, policy = parse("wu32,freq_hz=400e6,macs=64,double=false,shapes=fixed:8x8x1,unsupported=cpu")
    assert (config.freq_hz, config.macs, config.double, config.shape, policy) == (4e8, 64, False, (8, 8, 1), "cpu")
    for text, said in [
        ("wu33", "did you mean 'wu32'"),
        ("wu32,fast", "expected field=value, got 'fast'"),
        ("wu32,unsupported=no", "no"),
    ]:
        with pytest.raises(NasplugError, match=said):
            parse(text)
    with pytest.raises(UnknownNameError):
        preset("systolic")


def test_rates_are_checked():
    assert RateConfig.from_json(RateConfig(cycles_per_mac=3).to_json()).cycles_per_mac == 3
    for wrong in ({"cycles_per_mac": -1}, {"freq_hz": 0}, {"cycles_per_mac": "slow"}, {"cycles": 1}):
        with pytest.raises(SpecError):
            RateConfig().replace(**wrong)


def test_every_number_can_be_swept():
    base = preset("wu32")
    numbers = {field.name for field in dataclasses.fields(base) if field.type in ("int", "float")}
    assert numbers - set(NUMBERS) == {"align_channels"}
    (points,) = grid(base, {name: [getattr(base, name)] * 2 for name in ("freq_hz", "sync", "node_nm")})
    assert len(points) == 8
    assert points.config(3) == base


def test_rules_hold_for_arrays_as_for_one():
    sets = list(grid(preset("wu32"), {"macs": [16, 24, 32], "shapes": ["pow2", "fixed:4x4x1"], "weight_kb": [0, 8]}))
    for points in sets:
        for place, valid in enumerate(points.valid()):
            if valid:
                points.config(place)
            else:
                with pytest.raises(SpecError):
                    points.config(place)
    assert [int(points.valid().sum()) for points in sets] == [2, 1]


def test_axes_must_exist():
    with pytest.raises(SpecError, match="did you mean 'macs'"):
        list(grid(preset("wu32"), {"mac": [1]}))
    with pytest.raises(SpecError, match="no values"):
        list(grid(preset("wu32"), {"macs": []}))


def test_points_that_are_alike():
    config = preset("wu32")
    points = Points.together([config, config.replace(macs=64)])
    few, inverse = points.distinct(["weight_kb"])
    assert len(few) == 1
    assert inverse.tolist() == [0, 0]
    assert points.distinct(["macs"])[1] is None
    with pytest.raises(ValueError, match="more than numbers"):
        Points.together([config, config.replace(double=False)])


@pytest.mark.parametrize("name", ["arithmetic", "sram_cacti", "sram_horowitz", "memories", "synthesis"])
def test_tables_name_their_source_and_date(name):
    assert constants.table(name)
    assert "date:" in constants.header(name)


def test_arithmetic_is_horowitz():
    assert constants.multiply_pj(32, 32) == pytest.approx(3.1, rel=0.01)
    assert constants.multiply_pj(8, 8) == pytest.approx(0.2, rel=0.01)
    assert constants.add_pj(32) == pytest.approx(0.1)
    assert constants.process_scale(45, 0.9) == 1


def test_memories_follow_their_table_and_end_with_it():
    assert constants.memory("read", 8, 64) * 64 == pytest.approx(1.155 * 8**0.549)
    assert constants.memory("read", 8, 512) * 128 == pytest.approx(1.490 * 8**0.572)  # several of the widest words
    between = constants.memory("read", 8, 90)
    assert constants.memory("read", 8, 128) < between < constants.memory("read", 8, 64)
    assert constants.memory("read", 1024, 64, "horowitz") * 64 == pytest.approx(100, rel=0.01)
    sizes = np.array([[4.0], [64.0], [4.0]])
    one_by_one = [constants.memory("write", size) for size in sizes[:, 0]]
    np.testing.assert_allclose(constants.memory("write", sizes, 64)[:, 0], one_by_one)
    with pytest.warns(UserWarning, match="extrapolated"):
        constants.memory("read", 1500)
    with pytest.raises(DataError, match="no memory of 4000 KiB"):
        constants.memory("read", 4000)
