"""What is said when a file cannot be written or computes something else."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

from nasplug.contract.errors import NasplugError, TaskError
from nasplug.export.agreement import TOLERANCE, check_difference, largest_difference, writing


def test_a_difference_is_relative_to_the_largest_value():
    expected = torch.tensor([[1.0, -8.0], [2.0, 4.0]])
    assert largest_difference(expected, expected) == 0
    assert largest_difference(expected + torch.tensor([0.5, 0.0]), expected) == pytest.approx(0.5 / 8)
    assert largest_difference(torch.tensor([1e-12]), torch.zeros(1)) == pytest.approx(1.0)


@pytest.mark.parametrize("found", [TOLERANCE * 1.01, float("nan"), float("inf")])
def test_a_file_that_computes_something_else_is_refused(found):
    with pytest.raises(NasplugError, match=r"the program differs from the trained one[\s\S]*0.001[\s\S]*do not use"):
        check_difference(found, "program", Path("x.pt2"))


def test_the_tolerance_itself_is_allowed():
    assert check_difference(TOLERANCE, "program", Path("x.pt2")) == TOLERANCE


def test_whatever_an_exporter_raises_is_one_error(tmp_path):
    path = tmp_path / "deep" / "x.onnx"
    with pytest.raises(TaskError, match=r"written as ONNX[\s\S]*KeyError: 'a .n b'") as caught, writing("ONNX", path):
        raise KeyError("a \n b")
    assert isinstance(caught.value.__cause__, KeyError)
    assert path.parent.is_dir()


def test_an_interrupt_is_not_an_error_of_the_exporter(tmp_path):
    with pytest.raises(KeyboardInterrupt), writing("ONNX", tmp_path / "x"):
        raise KeyboardInterrupt
