"""What bounds layers and what would help: counted by hand, and against the model itself."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from nasplug_npu import NPU, area, preset
from nasplug_npu.explaining import explain
from nasplug_npu.formats.scalesim import from_scalesim
from nasplug_npu.networks import NETWORKS
from nasplug_npu.roofline import draw_roofline

from nasplug.cli import main
from nasplug.contract.errors import SpecError
from nasplug.workloads.builder import INPUT, WorkloadBuilder


def npu(*words):
    return main(["npu", *words])


def test_a_layer_of_products_wants_multipliers_and_one_of_weights_wants_their_memory():
    builder = WorkloadBuilder((64, 16, 16))
    builder.conv(INPUT, 64, 3, name="products")
    builder.fc(builder.global_pool(0, "pool"), 1000, name="weights")
    found = explain(builder.build(), NPU("wu32_dense"))
    bounds = {row["name"]: (row["bound"], row["help"]) for row in found.rows()}
    assert bounds["products"] == ("array", "twice the multipliers")
    assert bounds["weights"] == ("weights", "twice the bandwidth of the weights' memory")
    assert sum(row["share"] for row in found.rows()) == pytest.approx(1)
    assert sum(found.bounds().values()) == pytest.approx(1)


@pytest.mark.parametrize(
    "name",
    [
        "wu32",
        "wu32,shapes=fixed:8x4x1",
        "wu32,shapes=of:8x4x1+1x32x1",
        "systolic_8x8_ws",
        "ethos_u55_64",
        "ethos_u85_256",
        "zigzag_kc_16x16",
    ],
)
def test_what_helps_is_what_the_changed_unit_or_network_really_saves(name):
    workload, unit = NETWORKS["ds_cnn"](), NPU(name)
    found = explain(workload, unit)
    before = unit.totals(workload)
    assert [each.latency for each in found.helps] == sorted((each.latency for each in found.helps), reverse=True)
    assert len(found.helps) >= 8
    for each in found.helps:
        if each.of_network:
            after = unit.totals(workload.replace(**each.fields))
        else:
            config = unit.config.replace(**each.fields)
            after = NPU(config).totals(workload)
            if name == "wu32":
                assert each.area == pytest.approx(area(config).total_mm2 / area(unit.config).total_mm2 - 1)
        assert each.latency == pytest.approx(1 - after["latency_s"] / before["latency_s"])
        assert each.energy == pytest.approx(1 - after["energy_j"] / before["energy_j"])
        assert each.layers.sum() == pytest.approx(before["cycles"] - after["cycles"])
    for row in range(len(workload)):
        best = found.best_of(row)
        most = max(float(each.layers[row]) for each in found.helps if not each.of_network)
        assert best is None or best.layers[row] == most


def test_a_network_that_has_few_bits_and_products_is_not_told_to_have_them():
    workload = NETWORKS["ds_cnn"]().replace(weight_bits=4, weight_density=0.5)
    assert not any(each.of_network for each in explain(workload, NPU("wu32")).helps)


def test_layers_that_the_unit_cannot_do_want_it_to():
    builder = WorkloadBuilder((64, 16, 16))
    builder.row("softmax", [builder.conv(INPUT, 64, 1)], "attention")
    found = explain(builder.build(), NPU("wu32,unsupported=cpu"))
    assert found.rows()[1]["help"] == "a post-process unit that does softmax"
    assert found.rows()[1]["bound"] == "unsupported"
    (fields,) = [
        each["fields"] for each in json.loads(json.dumps(found.to_json()))["helps"] if "softmax" in each["change"]
    ]
    assert fields["ppu_operations"][-1] == "softmax"


def test_rates_have_no_parts():
    with pytest.raises(SpecError, match="no parts to explain"):
        explain(NETWORKS["ds_cnn"](), NPU("cortex_m7"))


def test_explain_in_words_in_json_and_as_a_picture(capsys, tmp_path):
    assert npu("explain", "resnet8", "--layers", "3", "--target", "wu32,weight_bytes_per_cycle=0.5") == 0
    said = capsys.readouterr().out
    assert "waits for: " in said
    assert "twice the bandwidth of the weights' memory: -" in said
    assert "and 11 more, faster ones" in said
    assert npu("explain", "resnet8", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["totals"]["macs"] == 12_501_632
    assert {help_["of"] for help_ in data["helps"]} == {"unit", "network"}
    assert len(data["layers"]) == 14
    pytest.importorskip("matplotlib")
    picture = tmp_path / "roof.svg"
    assert npu("explain", "resnet8", "--roofline", str(picture)) == 0
    text = picture.read_text()
    slowest = max(data["layers"], key=lambda row: row["cycles"])["name"]
    assert f"<!-- {slowest}" in text
    found = explain(NETWORKS["resnet8"](), NPU("wu32"))
    draw_roofline(found.spots, preset("wu32"), picture, labels=0)
    assert f"<!-- {slowest}" not in picture.read_text()


def test_units_side_by_side(capsys):
    assert npu("compare", "ds_cnn", "wu32", "wu32,freq_hz=4e8", "cortex_m7_xcubeai", "--json") == 0
    units = json.loads(capsys.readouterr().out)["units"]
    first, second, third = units.values()
    assert first["speedup"] == first["energy_gain"] == 1
    assert second["speedup"] == pytest.approx(2)
    assert third["unpriced"] == ["pool"]
    assert third["costs"]["latency_s"] == NPU("cortex_m7_xcubeai").totals(NETWORKS["ds_cnn"]())["latency_s"]
    assert "area_mm2" not in third["costs"]
    assert npu("compare", "ds_cnn", "wu32", "cortex_m7_xcubeai") == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:3] == ["latency,", "ms", "0.4787"] for line in lines)
    assert any(line.startswith("layers not priced") and line.split()[-2:] == ["0", "1"] for line in lines)
    assert npu("compare", "ds_cnn", "wu32") == 2
    assert "compares nothing" in capsys.readouterr().err


def test_topologies_of_any_network(capsys, tmp_path):
    assert npu("topology", "resnet8") == 0
    said = capsys.readouterr()
    assert from_scalesim(said.out).macs.sum() == NETWORKS["resnet8"]().macs.sum()
    assert "4 layers left out" in said.err
    file = tmp_path / "net.csv"
    assert npu("topology", "ds_cnn", "--gemm", "--out", str(file)) == 0
    assert from_scalesim(file).macs.sum() == NETWORKS["ds_cnn"]().macs.sum()
    capsys.readouterr()
    assert npu("topology", "ds_cnn", "--sparsity", "2:4", "--set", "weight_density=0.5") == 0
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert {row[8].strip() for row in rows[1:]} == {"2:4"}
    assert npu("topology", "resnet8", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert len(data["layers"]) == 10
    assert data["layers"][0]["Num Filter"] == "16"
    assert len(data["left_out"]) == 4


def test_a_topology_of_a_module_and_of_an_onnx_file(capsys, tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(4 * 36, 5)).eval()
    path = tmp_path / "net.onnx"
    torch.onnx.export(network, (torch.zeros(1, 3, 8, 8),), str(path), dynamo=False)
    capsys.readouterr()
    assert npu("topology", str(path)) == 0
    assert from_scalesim(capsys.readouterr().out).macs.tolist() == [4 * 27 * 36, 5 * 144]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sparsity", "half"], "write 2:4"),
        (["--sparsity", "5:4"], "write 2:4"),
        (["--sparsity", "2:4", "--gemm"], "leave out --gemm"),
    ],
)
def test_wrong_words_of_topology(words, said, capsys):
    assert npu("topology", "resnet8", *words) == 2
    assert said in capsys.readouterr().err


def test_dilated_layers_are_refused_by_name_and_can_be_products(capsys, tmp_path):
    builder = WorkloadBuilder((8, 16, 16))
    builder.conv(INPUT, 8, 3, dilation=2, padding=2, name="wide")
    file = tmp_path / "net.json"
    file.write_text(json.dumps(builder.build().to_json()))
    assert npu("topology", str(file)) != 0
    assert "'wide' is dilated" in capsys.readouterr().err
    assert npu("topology", str(file), "--gemm") == 0
    assert np.sum(from_scalesim(capsys.readouterr().out).macs) == 8 * 8 * 9 * 256
