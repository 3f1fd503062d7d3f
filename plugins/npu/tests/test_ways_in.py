"""Costs follow weights and operators: storage by tensors, work by use, and no total divides by zero."""

from __future__ import annotations

import json

import pytest
import torch
from nasplug_npu import preset, preset_names
from nasplug_npu.exploration import explore
from nasplug_npu.formats.scalesim import from_scalesim, to_scalesim_products
from nasplug_npu.fronts import page
from nasplug_npu.unit import NPU
from torch import nn

from nasplug.cli import main
from nasplug.workloads import WorkloadBuilder
from nasplug.workloads.extract import extract


class Again(nn.Module):
    def __init__(self, uses: int) -> None:
        super().__init__()
        self.layer, self.uses = nn.Conv2d(8, 8, 3, padding=1), uses

    def forward(self, x):
        for _ in range(self.uses):
            x = torch.relu(self.layer(x))
        return x


@pytest.mark.parametrize("unit", ["wu32", "cortex_m7_xcubeai"])
@pytest.mark.parametrize("uses", [1, 2, 5])
def test_a_layer_that_is_used_again_is_stored_once(uses, unit):
    found = NPU(unit).totals(extract(Again(uses), (8, 8, 8)))
    assert found["flash_bytes"] == 8 * 8 * 9 + 8 * 4
    assert found["macs"] == uses * 8 * 8 * 9 * 64


@pytest.mark.parametrize(
    ("layer", "shape", "macs", "weights"),
    [
        (nn.Conv1d(3, 5, 3, bias=False), (3, 9), 5 * 3 * 3 * 7, 45),
        (nn.Conv3d(3, 5, 3, padding=1, bias=False), (3, 5, 6, 7), 5 * 3 * 27 * 210, 405),
        (nn.ConvTranspose2d(4, 6, 3, 2, bias=False), (4, 8, 8), 4 * 6 * 9 * 64, 216),
        (nn.ConvTranspose3d(4, 6, 2, 2, bias=False), (4, 3, 4, 5), 4 * 6 * 8 * 60, 192),
    ],
)
def test_convolutions_of_all_kinds_cost_their_products(layer, shape, macs, weights):
    workload = extract(layer, shape)
    found = NPU("wu32").totals(workload)
    assert (found["macs"], found["flash_bytes"]) == (macs, weights)
    assert found["compute_cycles"] >= macs / NPU("wu32").config.macs
    assert from_scalesim(to_scalesim_products(workload)).macs.sum() == macs


def test_products_of_groups_keep_their_number():
    workload = extract(nn.Conv2d(8, 8, 3, groups=8), (8, 6, 6))
    assert from_scalesim(to_scalesim_products(workload)).macs.sum() == workload.macs.sum() == 8 * 9 * 16


@pytest.mark.parametrize("unit", ["wu32", "ethos_u55_128", "ethos_u85_128"])
def test_a_network_of_which_the_unit_does_nothing_has_rates_of_zero(unit):
    builder = WorkloadBuilder((4, 8, 8))
    builder.row("other", [-1])
    npu = NPU(unit, unsupported="zero")
    for found in (npu.totals(builder.build()), npu.many([builder.build()])):
        for rate in ("latency_s", "gops_dense", "gops_effective", "utilisation", "array_utilisation"):
            assert found[rate] == 0
        assert found["unsupported_layers"] == 1


def strange():
    builder = WorkloadBuilder((4, 8, 8))
    builder.row("other", [builder.pool("maxpool", builder.conv(-1, 4, 3), 2)], "strange")
    return builder.build()


def test_an_exploration_says_which_layers_cost_nothing():
    with pytest.warns(UserWarning, match="1 layer, such as 'strange'"):
        found = explore(strange(), preset("wu32"), {"macs": [16, 32]})
    assert found.unpriced == ("strange",)
    assert found.to_json()["unpriced"] == ["strange"]
    assert "such as &#x27;strange&#x27;" in page(found, "units")
    priced = explore(strange(), preset("wu32"), {"macs": [16, 32]}, cpu=preset("cortex_m7_xcubeai"))
    assert priced.unpriced == ()
    # A processor without a rate for pools takes one for nothing; so do units of which an axis takes pools away.
    axes = {"ppu_operations": [("maxpool", "add"), ("add",)]}
    with pytest.warns(UserWarning, match="wu32 with cortex_m7_xcubeai has no price for 1 layer, such as 'maxpool'"):
        found = explore(strange(), preset("wu32"), axes, cpu=preset("cortex_m7_xcubeai"))
    assert found.unpriced == ("maxpool",)


@pytest.mark.parametrize(
    ("unit", "names"),
    [
        ("wu32,unsupported=zero", ("strange",)),
        ("wu32,unsupported=cpu", ()),
        ("cortex_m7", ("maxpool", "strange")),
        ("cortex_m7_xcubeai", ("maxpool",)),
        ("eyeriss_hwnb", ("strange",)),
    ],
)
def test_an_estimate_says_which_layers_cost_nothing(unit, names, capsys, tmp_path):
    found = NPU(unit).evaluate(strange())
    assert found.unpriced == names
    assert found.totals["unpriced_layers"] == NPU(unit).many([strange()])["unpriced_layers"] == len(names)
    assert {strange().operations[strange().names.index(name)] for name in names} <= set(NPU(unit).config.unpriced)
    file = tmp_path / "net.json"
    file.write_text(json.dumps(strange().to_json()))
    assert main(["npu", "estimate", str(file), "--target", unit]) == 0
    assert ("Not priced" in capsys.readouterr().out) == bool(names)


def test_every_preset_says_what_it_does_not_price(capsys):
    assert main(["npu", "presets"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    for name in preset_names():
        assert preset(name).unpriced
        assert ", ".join(preset(name).unpriced) in lines[name]


def test_normalisation_by_statistics_of_the_input_costs_time():
    def seconds(norm):
        network = nn.Sequential(nn.Conv3d(4, 8, 3, padding=1, bias=False), norm).eval()
        return NPU("wu32", unsupported="cpu").totals(extract(network, (4, 16, 16, 16)))["latency_s"]

    assert seconds(nn.InstanceNorm3d(8, affine=True)) > seconds(nn.BatchNorm3d(8))
