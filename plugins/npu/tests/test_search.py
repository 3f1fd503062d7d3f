"""A search on real images with a unit as target: costs, a constraint, and what cannot run."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import yaml
from nasplug_npu import NPU, preset
from nasplug_npu.target import NPUCost, NPUHardware, NPUTarget

import nasplug as nas
from nasplug.cli import main
from nasplug.contract.errors import SpecError, TrialError
from nasplug.contract.records import FAILURE_KINDS
from nasplug.testing import Shapes, run_search
from nasplug.workloads.builder import INPUT, WorkloadBuilder
from nasplug.workloads.extract import extract


def test_a_specification_with_target_costs_and_constraint(tmp_path, capsys):
    file, storage = tmp_path / "npu.yaml", tmp_path / "study.sqlite"
    spec = {
        "task": {"image_classification": {"data": "digits"}},
        "space": {"qnas.conv": {"nodes": 4, "width": 0.125}},
        "strategy": "random",
        "target": "npu:wu32",
        "costs": ["npu"],
        "objectives": {"val_acc": "max", "npu/latency_s": "min"},
        "constraints": ["npu/latency_s <= 0.002"],
        "budget": {"trials": 4, "epochs": 1},
        "run": {"storage": str(storage), "executor": "inline"},
    }
    file.write_text(yaml.safe_dump(spec))
    assert main(["run", str(file)]) == 0, capsys.readouterr().err
    study = nas.load_study(storage)
    priced = [trial for trial in study.trials if trial.costs]
    assert len(priced) == 4
    for trial in study.trials:
        assert trial.costs["npu/energy_j"] > 0
        slow = trial.costs["npu/latency_s"] > 0.002
        assert (trial.state == "pruned") == slow  # too slow networks are never trained
    done = next(trial for trial in study.trials if trial.state == "complete")
    workload = extract(study.network(done), (1, 8, 8))
    assert NPU("wu32").totals(workload)["macs"] == done.costs["npu/macs"]


def test_a_cost_with_a_unit_of_its_own_needs_no_target():
    cost = NPUCost("wu32,unsupported=zero")
    study = run_search("random", costs={"npu": cost}, task=Shapes(), trials=4, objectives={"npu/latency_s": "min"})
    assert all(trial.costs["npu/latency_s"] > 0 for trial in study.trials)


def test_targets_say_what_they_are():
    target = NPUHardware().hardware_target("npu:wu32,macs=64")
    assert isinstance(target, NPUTarget)
    assert target.capabilities["config"]["macs"] == 64
    assert NPUHardware("cpu").hardware_target("npu:wu32").capabilities["unsupported"] == "cpu"
    assert NPUHardware("cpu").hardware_target("npu:wu32,unsupported=zero").capabilities["unsupported"] == "zero"
    assert NPUHardware().hardware_target("cpu") is None
    with pytest.raises(SpecError, match="names no unit"):
        NPUHardware().hardware_target("npu")


def test_a_cost_without_any_unit():
    with pytest.raises(SpecError, match="no unit to ask"):
        NPUCost().cost(None, None)


class TestUnsupported:
    """Softmax is nothing that the post-process unit does."""

    def workload(self):
        network = WorkloadBuilder((4, 8, 8))
        row = network.conv(INPUT, 4, 3)
        network.row("softmax", [row], "attention.softmax")
        return network.build()

    def test_error(self):
        unit = NPU("wu32")
        with pytest.raises(TrialError, match=r"attention\.softmax[^!]*unsupported=cpu") as caught:
            unit.totals(self.workload())
        assert caught.value.kind in FAILURE_KINDS
        with pytest.raises(TrialError):  # still, when asked again
            unit.totals(self.workload())

    def test_zero_is_counted(self):
        found = NPU("wu32", "zero").totals(self.workload())
        assert found["unsupported_layers"] == 1

    def test_cpu_costs_more(self):
        zero, cpu = (NPU("wu32", policy).totals(self.workload()) for policy in ("zero", "cpu"))
        rate = preset("cortex_m7_xcubeai")
        assert cpu["latency_s"] - zero["latency_s"] == pytest.approx(256 * rate.cycles_per_output / rate.freq_hz)
        assert cpu["energy_processor_j"] > 0 == zero["energy_processor_j"]

    def test_the_unit_can_be_told_that_it_can(self):
        able = preset("wu32").replace(ppu_operations=[*preset("wu32").ppu_operations, "softmax"])
        assert NPU(able).totals(self.workload())["unsupported_layers"] == 0

    def test_layers_that_fit_no_buffer(self):
        tiny = preset("wu32").replace(weight_kb=1, input_kb=1, output_kb=1, shapes="fixed:1x2048x1", macs=2048)
        network = WorkloadBuilder((4, 8, 8))
        network.conv(INPUT, 2048, 3)
        with pytest.raises(TrialError, match="does not fit the buffers"):
            NPU(tiny).totals(network.build())

    def test_an_unknown_policy(self):
        with pytest.raises(SpecError, match="did you mean 'error'"):
            NPU("wu32", "eror")
