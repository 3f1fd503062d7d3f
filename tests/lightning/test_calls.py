from __future__ import annotations

import pytest
import torch
from torch import nn

from nasplug.contract.errors import TaskError
from nasplug.contract.io import Inputs
from nasplug.lightning.calls import FirstCall, inputs_of_call, inputs_of_example

TOKENS = torch.tensor([[1, 7, 3], [0, 2, 2]])
MASK = torch.ones(2, 3, dtype=torch.bool)
TEXT = {"shape": [3], "dtype": "int64", "high": 8}


def test_a_call_says_shapes_types_and_the_size_of_a_vocabulary():
    found = inputs_of_call((TOKENS,), {"mask": MASK, "extra": None})
    assert found == Inputs.of({"args": [TEXT], "kwargs": {"mask": {"shape": [3], "dtype": "bool"}}})


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (([TOKENS],), "called with a list"),
        ((TOKENS, None), "called with a NoneType"),
        ((TOKENS, torch.ones(3, 3)), "one batch dimension in common"),
        ((torch.tensor(1.0),), "one batch dimension in common"),
        ((), "one batch dimension in common"),
    ],
)
def test_calls_that_cannot_be_described(args, message):
    with pytest.raises(TaskError, match=message):
        inputs_of_call(args, {})


def test_examples_as_lightning_takes_them():
    assert inputs_of_example(torch.ones(2, 4)) == Inputs.of((4,))
    assert inputs_of_example((torch.ones(2, 4), TOKENS)) == Inputs.of([[4], TEXT])
    assert inputs_of_example({"tokens": TOKENS}) == Inputs.of({"tokens": TEXT})
    for nothing in (None, {}, "text", [[TOKENS]]):
        assert inputs_of_example(nothing) is None


def test_the_first_call_is_noted_and_no_other():
    network, call = nn.Bilinear(2, 3, 4), FirstCall()
    call.watch(network)
    network(torch.ones(5, 2), torch.ones(5, 3))
    network(torch.ones(5, 7, 2), torch.ones(5, 7, 3))
    assert call.inputs == Inputs.of([[2], [3]])
    assert not network._forward_pre_hooks
    call.watch(network)
    assert not network._forward_pre_hooks


def test_watching_can_end_without_a_call():
    network, call = nn.Linear(2, 3), FirstCall()
    call.watch(network)
    call.stop()
    network(torch.ones(5, 2))
    assert call.inputs is None
    assert call.problem is None
