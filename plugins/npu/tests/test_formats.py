"""Files of other models: written, read back, and refused where they cannot say what a layer does."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from nasplug_npu import NPU
from nasplug_npu.formats.scalesim import from_scalesim, to_scalesim, to_scalesim_products
from nasplug_npu.formats.timeloop import from_timeloop, to_timeloop
from nasplug_npu.formats.vela import read_vela
from nasplug_npu.formats.zigzag import to_zigzag
from nasplug_npu.networks import NETWORKS

from nasplug.contract.errors import DataError
from nasplug.workloads.builder import INPUT, WorkloadBuilder

KEPT = ("ci", "co", "ho", "wo", "kh", "kw", "sh", "sw", "groups")


def multiplying(workload):
    return np.flatnonzero(workload.macs)


@pytest.mark.parametrize("network", sorted(NETWORKS))
@pytest.mark.parametrize("formats", [(to_scalesim, from_scalesim), (to_timeloop, from_timeloop)])
def test_what_is_written_is_read_back(network, formats):
    write, read = formats
    workload = NETWORKS[network]()
    found, rows = read(write(workload)), multiplying(workload)
    assert found.operations == tuple(workload.operations[row] for row in rows)
    assert found.names == tuple(workload.names[row] for row in rows)
    for column in (*KEPT, "macs", "weights"):
        np.testing.assert_array_equal(getattr(found, column), getattr(workload, column)[rows], err_msg=column)
    assert write(found) == write(workload)


def test_products_are_read_back():
    workload = NETWORKS["ds_cnn"]()
    found = from_scalesim(to_scalesim_products(workload))
    rows = multiplying(workload)
    np.testing.assert_array_equal(found.macs, workload.macs[rows])


def test_a_topology_of_scalesim_is_an_input_for_estimates(tmp_path):
    file = tmp_path / "net.csv"
    file.write_text(
        "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
        "Conv1, 34, 34, 3, 3, 3, 16, 1,\n\nFC, 1, 1, 1, 1, 64, 10, 1,\n"
    )
    workload = from_scalesim(file)
    assert workload.operations == ("conv", "fc")
    assert workload.macs.tolist() == [32 * 32 * 16 * 27, 640]
    found = NPU("systolic_16x16_ws").totals(workload)
    assert found["compute_cycles"] == (32 + 16 + 1024 - 2) * 2 - 1 + (32 + 16 + 1 - 2) * 4 - 1


def test_structured_sparsity_is_a_column():
    workload = NETWORKS["resnet8"]().replace(weight_density=0.5)
    text = to_scalesim(workload, structure=(2, 4))
    assert "Sparsity," in text.splitlines()[0]
    assert from_scalesim(text).weight_density.tolist() == [0.5] * len(multiplying(workload))
    assert "4:4," in to_scalesim(NETWORKS["resnet8"](), structure=(2, 4))


@pytest.mark.parametrize("changes", [{"stride": (1, 2)}, {"dilation": 2}])
def test_what_a_topology_cannot_say(changes):
    network = WorkloadBuilder((4, 9, 9))
    network.conv(INPUT, 4, 3, **changes)
    with pytest.raises(DataError, match=r"two strides|dilated"):
        to_scalesim(network.build())


@pytest.mark.parametrize("text", ["", "a, b\n1, 2", "a,b,c,d,e,f,g,h\nx,1,2,3,4,5,6,seven"])
def test_other_tables_are_no_topology(text):
    with pytest.raises(DataError, match="topology"):
        from_scalesim(text)
    with pytest.raises(DataError, match="Timeloop"):
        from_timeloop("- 1")


def test_zigzag_layers_say_how_much_they_multiply():
    workload = NETWORKS["resnet8"]()
    layers = yaml.safe_load(to_zigzag(workload))
    rows = multiplying(workload)
    assert [int(np.prod(layer["loop_sizes"])) for layer in layers] == workload.macs[rows].tolist()
    assert layers[0]["operand_source"] == {"W": 0, "I": 0}
    sources = {layer["name"]: layers[layer["operand_source"]["I"]]["name"] for layer in layers}
    assert sources["stage1.0.shortcut"] == "stage0.0.conv2"  # through the addition
    assert layers[0]["padding"] == [[1, 1], [1, 1]]


HEAD = "Name,Original Operator,NNG Operator,Target,Staging Usage,Op Cycles,NPU,SRAM AC,DRAM AC,OnFlash AC,OffFlash AC"


def test_tables_of_vela(tmp_path):
    file = tmp_path / "layers.csv"
    file.write_text(f"{HEAD},MAC Count,Util%\nconv,CONV_2D,Conv2DBias,NPU,1024,200.0,200.0,10,0,5,0,4096,64.0\n")
    (layer,) = read_vela(file)
    assert (layer.name, layer.cycles, layer.macs, layer.utilisation) == ("conv", 200, 4096, 0.64)
    file.write_text(f"{HEAD}\n" + "a," * 10 + "a\n")
    with pytest.raises(DataError, match="MAC Count"):
        read_vela(file)
    file.write_text(f"{HEAD},MAC Count,Util%\n" + "a," * 12 + "a\n")
    with pytest.raises(DataError, match="not a number"):
        read_vela(file)
