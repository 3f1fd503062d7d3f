"""A pass without numbers leaves the copy as it was, and names what cannot run."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nasplug.contract.errors import SurgeryError
from nasplug.contract.io import Inputs
from nasplug.cost.meta import meta_copy
from nasplug.surgery.follow import traced


def test_modes_and_hooks_are_as_before() -> None:
    twin = meta_copy(nn.Sequential(nn.Linear(3, 4), nn.Dropout(), nn.Sequential(nn.Linear(4, 2))))
    twin[2].eval()
    modes = [module.training for module in twin.modules()]
    traced(twin, Inputs.of((3,)))
    assert [module.training for module in twin.modules()] == modes
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in twin.modules())
    assert torch.backends.mha.get_fastpath_enabled()


def test_inputs_by_name_and_whole_numbers() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.fc, self.last = nn.Embedding(7, 4), nn.Linear(3, 4), nn.Linear(4, 1)

        def forward(self, *, words: Tensor, values: Tensor) -> Tensor:
            return self.last((self.table(words).sum(1) + self.fc(values)).relu())

    inputs = Inputs.of({"words": {"shape": [5], "dtype": "int64"}, "values": {"shape": [3], "dtype": "float32"}})
    trace = traced(meta_copy(Named()), inputs)
    assert trace.roles["table.weight", 1] == "out"
    channels = trace.book.channels()
    table, fc = trace.state["table.weight"][1], trace.state["fc.weight"][0]
    assert table is not None
    assert fc is not None
    assert channels[table].tolist() == channels[fc].tolist()


def test_a_decision_by_values_is_named() -> None:
    class Deciding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x) if x.sum() > 0 else -self.fc(x)

    with pytest.raises(SurgeryError, match=r"(?s)Deciding: the channels .* cannot be followed.*without numbers"):
        traced(meta_copy(Deciding()), Inputs.of((3,)))
