"""The command: networks of every kind, pictures, explorations, and messages."""

from __future__ import annotations

import json

import pytest
from nasplug_npu import NPU, area, preset
from nasplug_npu.config import NPUConfig
from nasplug_npu.formats.scalesim import to_scalesim
from nasplug_npu.networks import NETWORKS
from nasplug_npu.roofline import peak_gops, roofline

from nasplug.cli import main


def npu(*words):
    return main(["npu", *words])


def test_estimate_as_json(capsys):
    assert npu("estimate", "mobilenet_v1_1.0_224", "--target", "wu32_dense", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["totals"]["compute_cycles"] == 17_773_136
    assert data["totals"]["area_mm2"] > 0
    assert len(data["layers"]) == 29
    assert data["unit"]["name"] == "wu32_dense"


def test_estimate_in_words_with_a_picture(capsys, tmp_path):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "roof.png"
    assert npu("estimate", "ds_cnn", "--layers", "--roofline", str(picture), "--set", "weight_density=0.5") == 0
    said = capsys.readouterr().out
    assert "block0.depthwise" in said
    assert "latency_s" in said
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_files_are_models(capsys, tmp_path):
    workload = NETWORKS["resnet8"]()
    stored, topology = tmp_path / "net.json", tmp_path / "net.csv"
    stored.write_text(json.dumps(workload.to_json()))
    topology.write_text(to_scalesim(workload))
    found = []
    for file in (stored, topology):
        assert npu("estimate", str(file), "--json") == 0
        found.append(json.loads(capsys.readouterr().out)["totals"])
    wanted, size = NPU("wu32").totals(workload), area(preset("wu32")).total_mm2
    of_area = {"area_mm2": size, "tops_per_mm2": wanted["gops_dense"] * 1e-3 / size}
    assert found[0] == pytest.approx({**wanted, **of_area})
    assert found[1]["macs"] == found[0]["macs"]


def test_modules_are_models(capsys):
    pytest.importorskip("torch")
    assert npu("estimate", "torch.nn:Identity", "--input", "3x8x8", "--target", "wu32") == 2
    assert "no layers" in capsys.readouterr().err
    assert npu("estimate", "torch.nn:Missing", "--input", "3x8x8") == 3
    capsys.readouterr()
    pytest.importorskip("timm")
    words = ("estimate", "timm:mobilenetv3_small_050", "--input", "3x32x32", "--json", "--target")
    assert npu(*words, "wu32,unsupported=cpu") == 0
    assert json.loads(capsys.readouterr().out)["totals"]["macs"] > 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["estimate", "resnet9"], "did you mean 'resnet8'"),
        (["estimate", "timm:resnet18"], "give --input"),
        (["estimate", "gone.json"], "no such file"),
        (["estimate", "resnet8", "--target", "wu33"], "did you mean 'wu32'"),
        (["estimate", "resnet8", "--set", "weights=4"], "weight_bits"),
        (["estimate", "resnet8", "--set", "weight_bits=true"], "cannot set weight_bits to True"),
        (["estimate", "resnet8", "--set", "weight_bits=0"], "cannot set weight_bits to 0"),
        (["estimate", "resnet8", "--set", "weight_bits=few"], "cannot set weight_bits to 'few'"),
        (["estimate", "resnet8", "--target", "cortex_m7", "--roofline", "x.png"], "has no roof"),
        (["explore", "resnet8", "--axis", "macs"], "FIELD=A,B"),
        (["explore", "resnet8", "--base", "cortex_m7"], "no parts to vary"),
        (["explore", "resnet8", "--axis", "macs=16,32", "--out", "front.txt"], "no known ending"),
    ],
)
def test_wrong_words(words, said, capsys):
    assert npu(*words) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["json", "csv", "html", "svg"])
def test_fronts_become_files(ending, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    out = tmp_path / f"front.{ending}"
    assert npu("explore", "ds_cnn", "--axis", "macs=8,16,32", "--axis", "weight_kb=4,8", "--out", str(out)) == 0
    said = capsys.readouterr().out
    assert "space 6" in said
    text = out.read_text()
    if ending == "json":
        assert NPUConfig.from_json(json.loads(text)["front"][0]["config"]).macs in (8, 16, 32)
    if ending == "csv":
        assert text.startswith("macs,weight_kb,area_mm2,latency_s,energy_j\n")
    if ending == "html":
        assert "<svg" in text
        assert "6 units" in text
        assert "http" not in text.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
            "http://creativecommons.org", ""
        ).replace("https://matplotlib.org", "")


def test_an_exploration_for_several_networks_as_json(capsys):
    words = (
        "explore",
        "ds_cnn",
        "resnet8",
        "--axis",
        "macs=16,32",
        "--max-area",
        "0.4",
        "--combine",
        "worst",
        "--json",
    )
    assert npu(*words, "--objectives", "area_mm2,latency_s") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["objectives"] == ["area_mm2", "latency_s"]
    assert data["counts"]["space"] == 2


def test_presets_are_listed_and_printed(capsys):
    assert npu("presets") == 0
    assert "ethos_u55_128" in capsys.readouterr().out
    assert npu("presets", "wu32") == 0
    assert NPUConfig.from_yaml(capsys.readouterr().out) == preset("wu32")


@pytest.mark.parametrize("ports", ["act_shared", "separate", "shared"])
@pytest.mark.parametrize("network", ["resnet8", "mobilenet_v1_0.25_96", "ds_cnn"])
def test_only_skipping_goes_beyond_the_roof(network, ports):
    config = preset("wu32").replace(ports=ports)
    workload = NETWORKS[network]()
    spots = roofline(NPU(config).evaluate(workload), config)
    assert spots
    assert all(spot.achieved == spot.effective <= spot.attainable * (1 + 1e-9) for spot in spots)
    sparse = roofline(NPU(config).evaluate(workload.replace(weight_density=0.3)), config)
    assert any(spot.achieved > peak_gops(config) for spot in sparse)
    assert all(spot.effective <= peak_gops(config) * (1 + 1e-9) for spot in sparse)
