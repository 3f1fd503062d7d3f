from __future__ import annotations

import math
from typing import get_args

import pytest
import torch

from nasplug.contract.errors import TaskError
from nasplug.tasks.curves import cosine, onecycle
from nasplug.tasks.optimizers import _OPTIMIZERS, _SCHEDULES, make_optimizer, make_scheduler
from nasplug.tasks.settings import OptimizerName, ScheduleName, Training


def test_every_name_is_made():
    assert set(get_args(OptimizerName)) == set(_OPTIMIZERS)
    assert set(get_args(ScheduleName)) == set(_SCHEDULES)
    for name in get_args(OptimizerName):
        weight = torch.nn.Parameter(torch.ones(3))
        optimizer = make_optimizer([weight], Training(optimizer=name, lr=0.01))
        assert optimizer.param_groups[0]["lr"] == 0.01
        weight.square().sum().backward()
        optimizer.step()
        assert (weight < 1).all()


def test_the_numbers_reach_the_optimizer():
    weight = torch.nn.Parameter(torch.ones(3))
    settings = Training(lr=0.5, weight_decay=0.25, momentum=0.75, decay=0.125, optimizer="rmsprop")
    group = make_optimizer([weight], settings).param_groups[0]
    assert (group["lr"], group["weight_decay"], group["momentum"], group["alpha"]) == (0.5, 0.25, 0.75, 0.125)
    assert make_optimizer([weight], settings.with_({"optimizer": "nesterov"})).param_groups[0]["nesterov"]
    plain = make_optimizer([weight], settings.with_({"optimizer": "nesterov", "momentum": 0}))
    assert not plain.param_groups[0]["nesterov"]
    assert make_optimizer([weight], settings.with_({"l2_all": True})).param_groups[0]["weight_decay"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lr": 0.0}, "lr is 0.0"),
        ({"lr": -1}, "lr is -1"),
        ({"lr": math.nan}, "lr is nan"),
        ({"lr": math.inf}, "lr is inf"),
        ({"lr": "fast"}, "lr is 'fast'"),
        ({"lr": True}, "lr is True"),
        ({"weight_decay": -1e-9}, "weight_decay"),
        ({"momentum": 1.0}, "momentum is 1.0"),
        ({"decay": 1.5}, "decay is 1.5"),
        ({"label_smoothing": 1}, "label_smoothing"),
        ({"l2_all": 1}, "l2_all"),
        ({"optimizer": "rmsprob"}, "did you mean 'rmsprop'"),
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(TaskError, match=message):
        Training(**arguments)


def test_curves():
    assert [round(cosine(p), 6) for p in (0, 0.5, 1)] == [1, 0.5, 0]
    assert onecycle(0) == pytest.approx(1 / 25)
    assert onecycle(0.3) == pytest.approx(1)
    assert onecycle(1) == pytest.approx(1 / 250_000)


@pytest.mark.parametrize("name", ["cosine", "onecycle"])
def test_curves_are_those_of_torch(name):
    steps = 400

    def rates(make):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], 0.4, momentum=0.9)
        scheduler = make(optimizer)
        found = []
        for _ in range(steps):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        return found

    def reference(optimizer):
        if name == "cosine":
            return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.4, total_steps=steps + 1)

    # Torch lets the rate of onecycle peak one step earlier, which moves the curve by less than 1 % of its height.
    close = 1e-12 if name == "cosine" else 0.004
    assert rates(lambda o: make_scheduler(name, o, steps)) == pytest.approx(rates(reference), rel=0, abs=close)


def test_a_continued_training_goes_on_in_the_longer_curve():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], 1.0)
    short = make_scheduler("cosine", optimizer, 4)
    for _ in range(4):
        optimizer.step()
        short.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0)
    long = make_scheduler("cosine", optimizer, 8)
    long.load_state_dict(short.state_dict())
    optimizer.step()
    long.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(cosine(5 / 8))


def test_torch_s_own_cosine_does_not_continue():
    """The reason for a closed form: the length is in the state of torch's schedule, and comes back with it."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], 1.0)
    short = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 4)
    for _ in range(4):
        optimizer.step()
        short.step()
    long = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 8)
    long.load_state_dict(short.state_dict())
    assert long.T_max == 4
    optimizer.step()
    long.step()
    assert optimizer.param_groups[0]["lr"] != pytest.approx(cosine(5 / 8))
