"""Verilog of the machine: it lints, and tools that are missing are named with their package."""

from __future__ import annotations

import shutil

import pytest

pytest.importorskip("amaranth", reason="needs nasplug-npu[rtl]")

from nasplug_npu.machine import verilog
from nasplug_npu.machine.simulators import simulator

from nasplug.contract.errors import MissingExtraError, NasplugError


@pytest.mark.slow
def test_the_machine_lints(build, tmp_path):
    for tool in ("yosys", "verilator"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed: apt install {tool}")
    path = verilog.write_verilog(build("2x2x1"), tmp_path / "machine.v")
    assert "module machine(" in path.read_text()
    assert verilog.lint(path) == ""


def test_a_simulator_that_is_missing_names_its_package(build, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    for name, package in (("verilator", "apt install verilator"), ("icarus", "apt install iverilog")):
        with pytest.raises(MissingExtraError, match=package):
            simulator(build(), name)


def test_a_tool_that_fails_says_what_it_said(tmp_path):
    with pytest.raises(NasplugError, match="ended with code"):
        verilog.run(["python", "-c", "raise SystemExit('no such design')"], tmp_path)
