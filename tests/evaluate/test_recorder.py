"""Lightning's metrics as plain numbers."""

from __future__ import annotations

import torch

from nasplug.evaluate.recorder import numbers


def test_numbers_of_one_element_are_kept_whatever_their_shape():
    metrics = {"a": torch.tensor(1.5), "b": torch.tensor([2.0]), "c": torch.tensor([[3]]), "d": 4.0}
    assert numbers(metrics) == {"a": 1.5, "b": 2.0, "c": 3, "d": 4.0}


def test_those_of_none_or_several_elements_are_left_out():
    assert numbers({"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([]), "c": torch.zeros(2, 2), "d": 1.0}) == {
        "d": 1.0
    }
