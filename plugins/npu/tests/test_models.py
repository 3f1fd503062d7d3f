"""Models that the command reads, and what is said where a library is missing."""

from __future__ import annotations

import sys

import pytest
from nasplug_npu.roofline import new_figure

from nasplug.cli import main
from nasplug.contract.errors import MissingExtraError


def test_timm_is_an_extra_of_the_core(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "timm", None)
    assert main(["npu", "estimate", "timm:resnet18", "--input", "3x32x32"]) == 3
    assert 'pip install "nasplug[timm]"' in capsys.readouterr().err


def test_matplotlib_is_an_extra_of_this_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    with pytest.raises(MissingExtraError, match=r"nasplug-npu\[report\]"):
        new_figure()
