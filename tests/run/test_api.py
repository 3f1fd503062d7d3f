"""What a caller in Python may write: the same mistakes are refused with the same words as in a file."""

from __future__ import annotations

import pytest
from torch import nn

import nasplug as nas
from nasplug.contract.errors import NasplugError


class Space(nas.ChoiceSpace):
    def __init__(self):
        super().__init__("space", [nas.Choice("width", (2, 3))])

    def build(self, architecture, task):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, task.outputs))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"trials": "five"}, "budget.trials: expected an integer, got 'five'"),
        ({"trials": 2.5}, r"budget.trials: expected an integer, got 2\.5"),
        ({"trials": True}, "budget.trials: expected an integer, got True"),
        ({"trials": 0}, "budget.trials: 0 is too small"),
        ({"trials": None}, "no stopping criterion"),
        ({"epochs": "ten"}, "budget.epochs: expected an integer, got 'ten'"),
        ({"epochs": None}, "budget.epochs: expected an integer, got None"),
        ({"seconds": float("nan")}, "budget.seconds: expected a number, got nan"),
        ({"seconds": -1}, r"budget.seconds: expected seconds > 0, got -1\.0"),
        ({"seconds": "1h"}, "budget.seconds: expected a number, got '1h'"),
        ({"objectives": "val_acc"}, r"objectives: cannot read 'val_acc'\nDo: write \{val_acc: max"),
        ({"constraints": "params <= 5"}, "constraints: expected a list, got 'params <= 5'"),
        ({"costs": "params"}, "costs: expected a list, got 'params'"),
        ({"plugins": "mine.py"}, "plugins: expected a list, got 'mine.py'"),
        ({"seed": "zero"}, "run.seed: expected an integer, got 'zero'"),
    ],
)
def test_arguments_are_read_as_in_a_file(arguments, message):
    with pytest.raises(NasplugError, match=message):
        nas.search("image_classification", space=Space(), **{"trials": 1, "progress": False, **arguments})
