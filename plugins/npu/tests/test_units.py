"""Units of one's own as files, lists in the names of targets, and the systems around Ethos products."""

from __future__ import annotations

import json

import pytest
from nasplug_npu import NPU, NPUConfig, RateConfig, area, preset, preset_names
from nasplug_npu.networks import NETWORKS
from nasplug_npu.presets import parse, split
from nasplug_npu.target import NPUHardware

from nasplug.cli import main
from nasplug.contract.errors import SpecError, UnknownNameError
from nasplug.workloads.builder import INPUT, WorkloadBuilder


@pytest.fixture
def unit(tmp_path):
    (tmp_path / "28nm.yaml").write_text("gate_um2: 0.5\n")
    (tmp_path / "first.yaml").write_text("based_on: wu32\nmacs: 64\nppu_operations: [maxpool, add]\n")
    path = tmp_path / "second.yaml"
    path.write_text("based_on: first.yaml\nsource: a drawing\nfreq_hz: 4e8\nconstants: 28nm.yaml\n")
    return path


def test_a_file_is_a_unit_everywhere(unit, tmp_path, capsys):
    found = preset(str(unit))
    assert isinstance(found, NPUConfig)
    assert (found.macs, found.freq_hz, found.ppu_operations) == (64, 4e8, ("maxpool", "add"))
    assert found.constants == str(tmp_path / "28nm.yaml")
    wanted = NPU(found).totals(NETWORKS["autoencoder"]())
    assert NPU(str(unit)).totals(NETWORKS["autoencoder"]()) == wanted
    target = NPUHardware().hardware_target(f"npu:{unit},macs=128,unsupported=cpu")
    assert (target.unit.config.macs, target.unit.unsupported) == (128, "cpu")
    assert main(["npu", "estimate", "autoencoder", "--target", str(unit), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["totals"]["latency_s"] == wanted["latency_s"]
    assert said["totals"]["area_mm2"] == area(found).total_mm2
    assert main(["npu", "explore", "autoencoder", "--base", str(unit), "--axis", "macs=32,64", "--json"]) == 0
    assert {point["config"]["freq_hz"] for point in json.loads(capsys.readouterr().out)["front"]} == {4e8}
    assert main(["npu", "presets", str(unit)]) == 0
    assert "freq_hz: 400000000.0" in capsys.readouterr().out


def test_a_file_of_rates_and_one_as_json(tmp_path):
    (tmp_path / "dsp.yaml").write_text("kind: rate\nbased_on: cortex_m7\ncycles_per_mac: 0.5\n")
    found = preset(str(tmp_path / "dsp.yaml"))
    assert isinstance(found, RateConfig)
    assert (found.cycles_per_mac, found.freq_hz) == (0.5, 400e6)
    (tmp_path / "unit.json").write_text(json.dumps(preset("wu32").replace(macs=16).to_json()))
    assert preset(str(tmp_path / "unit.json")).replace(name="wu32") == preset("wu32").replace(macs=16)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- 1", "not a configuration"),
        ("1: 2", "not a configuration"),
        ("a: [", "not YAML"),
        ("mac: 3", "did you mean 'macs'"),
        ("kind: gpu", "kind is 'gpu'"),
        ("based_on: unit.yaml", "based on each other"),
        ("based_on: gone.yaml", "check the path"),
        ("ppu_operations: maxpool", "write a list"),
        ("ppu_operations: 3", "write a list"),
        ("shapes: 3", "write a text"),
        ("macs: 48", "power of two"),
    ],
)
def test_what_a_file_gets_wrong_is_named(text, said, tmp_path):
    (tmp_path / "unit.yaml").write_text(text)
    with pytest.raises(SpecError, match=said):
        preset(str(tmp_path / "unit.yaml"))
    (tmp_path / "unit.yaml").write_text("based_on: wu33")
    with pytest.raises(UnknownNameError, match="did you mean 'wu32'"):
        preset(str(tmp_path / "unit.yaml"))


def test_lists_in_the_name_of_a_target(capsys):
    assert split("wu32,ppu_operations=[add,maxpool],shapes=fixed:(8,4,1),macs=32") == [
        *("wu32", "ppu_operations=[add,maxpool]", "shapes=fixed:(8,4,1)", "macs=32")
    ]
    config, policy = parse("wu32,ppu_operations=[add,maxpool],shapes=fixed:(8,4,1),unsupported=zero")
    assert isinstance(config, NPUConfig)
    assert (config.ppu_operations, config.shape, policy) == (("add", "maxpool"), (8, 4, 1), "zero")
    words = ("--axis", "ppu_operations=[maxpool,avgpool,add,lut],[add]", "--axis", "macs=16,32", "--json")
    with pytest.warns(UserWarning, match="no price"):
        assert main(["npu", "explore", "resnet8", "--base", "wu32,unsupported=zero", *words]) == 0
    assert json.loads(capsys.readouterr().out)["counts"]["space"] == 4


def test_power_and_operations_per_joule_and_area():
    workload = NETWORKS["resnet8"]()
    for name in ("wu32", "cortex_m7"):
        found = NPU(name).totals(workload)
        assert found["power_w"] == pytest.approx(found["energy_j"] / found["latency_s"])
        assert found["tops_per_w"] == pytest.approx(2 * workload.macs.sum() / found["energy_j"] * 1e-12)
    assert NPU(RateConfig()).totals(workload)["tops_per_w"] == 0  # energy is not known


@pytest.mark.parametrize(
    ("name", "macs", "freq", "maps", "weights"),
    [
        ("ethos_u55_128", 128, 200e6, 1.6, 0.1),
        ("ethos_u55_128_high_end", 128, 500e6, 4, 0.5),
        ("ethos_u55_64_sram_only", 64, 200e6, 1.6, 1.6),
        ("ethos_u65_256_embedded", 256, 500e6, 8, 0.5),
        ("ethos_u65_512_mid_end", 512, 500e6, 8, 3.75),
        ("ethos_u65_512_high_end", 512, 1e9, 16, 3.75),
        ("ethos_u65_256_client_server", 256, 1e9, 16, 12),
        ("ethos_u85_128_flash_low", 128, 200e6, 6.4, 0.2),
        ("ethos_u85_256_flash_high", 256, 500e6, 16, 0.5),
        ("ethos_u85_512_sram_only", 512, 200e6, 6.4, 6.4),
        # 128 or 256 words of 16 bytes, four fifths of them under way, each for 500 clocks
        ("ethos_u85_512_dram_low", 512, 500e6, 16, 0.8 * 128 * 16 / 500 / 2),
        ("ethos_u85_1024_dram_mid", 1024, 1e9, 32, 0.8 * 256 * 16 / 500),
        ("ethos_u85_2048_dram_high", 2048, 1e9, 64, 0.8 * 256 * 16 / 500),
    ],
)
def test_systems_have_the_bandwidths_that_they_state(name, macs, freq, maps, weights):
    found = preset(name)
    assert isinstance(found, NPUConfig)
    assert name in preset_names()
    assert (found.name, found.macs, found.freq_hz) == (name, macs, freq)
    assert found.act_bytes_per_cycle * freq == pytest.approx(maps * 1e9)
    assert found.weight_bytes_per_cycle * freq == pytest.approx(weights * 1e9)
    stated = f"SRAM {maps:g} GB/s" in found.source or f"SRAM of {maps:g} GB/s" in found.source
    assert stated or "behind one port" in found.source


def test_deep_embedded_is_meant_where_no_system_is_named():
    assert preset("ethos_u55_32_deep_embedded").replace(name="ethos_u55_32") == preset("ethos_u55_32")
    with pytest.raises(UnknownNameError):
        preset("ethos_u55_32_mid_end")
    with pytest.raises(UnknownNameError):
        preset("ethos_u55_512")
    assert preset("ethos_u85_256").replace(name="ethos_u85_256_flash_low") == preset("ethos_u85_256_flash_low")
    with pytest.raises(UnknownNameError):
        preset("ethos_u85_64")


def test_two_cores_take_half_of_the_clocks():
    builder = WorkloadBuilder((64, 16, 16))
    builder.conv(INPUT, 64, 3)
    builder.pool("maxpool", 0, 2)
    one, two = (
        NPU(f"ethos_u65_{macs}_client_server").evaluate(builder.build()).layers["compute_cycles"][0]
        for macs in (256, 512)
    )
    # 64 steps of 2x2 in 8 groups of 8 channels, 9 taps, 2 x 32 input channels, 4 clocks each; then the ends of blocks.
    products = 4 * 64 * 8 * 9 * 2
    assert products < one < 1.06 * products
    assert one / two == pytest.approx(2, rel=0.02)
