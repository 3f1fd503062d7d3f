"""The target and the cost keep to everything that nasplug asks of its plugins."""

from __future__ import annotations

from typing import ClassVar

from nasplug_npu.target import NPUCost, NPUHardware

from nasplug.testing import CostConformance, TargetConformance


class TestTarget(TargetConformance):
    names: ClassVar = (
        "npu:wu32",
        "npu:wu32,macs=64,freq_hz=400e6,unsupported=cpu",
        "npu:wu32_dense",
        "npu:systolic_8x8_os",
        "npu:ethos_u55_128",
        "npu:ethos_u85_256",
        "npu:cortex_m7",
        "npu:eyeriss_hwnb",
    )

    def make_target(self):
        return NPUHardware()


class TestCost(CostConformance):
    name = "npu"

    def make_cost(self):
        return NPUCost()

    def make_target(self):
        return NPUHardware().hardware_target("npu:wu32")


class TestCostWithAUnitOfItsOwn(CostConformance):
    name = "npu"

    def make_cost(self):
        return NPUCost(unit="wu32,unsupported=zero")

    def make_target(self):
        return None
