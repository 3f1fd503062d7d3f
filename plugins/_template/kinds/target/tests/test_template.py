"""The rules for every hardware target, and what this one computes."""

from __future__ import annotations

import pytest
from nasplug_template.target import DEVICES, Template

from nasplug.contract.errors import UnknownNameError
from nasplug.plugins.discovery import discover
from nasplug.testing import TargetConformance


class TestTemplate(TargetConformance):
    names = tuple(f"template:{device}" for device in DEVICES)

    def make_target(self) -> Template:
        return Template()

    def test_a_faster_device_takes_less(self) -> None:
        small, large = (self.find(f"template:{name}").estimate(self.candidate()) for name in ("small", "large"))
        assert 0 < large["latency_s"] < small["latency_s"]


def test_it_is_found_by_name() -> None:
    assert discover().catalog.get("target", "template").load() is Template


def test_unknown_devices_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="small"):
        Template().hardware_target("template:smal")
