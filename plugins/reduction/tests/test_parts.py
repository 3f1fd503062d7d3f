"""Parts on their own: pictures, objectives, weights of a file, second losses."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
import torch
from nasplug_reduction import ReductionSpace
from nasplug_reduction.decisions import Decisions
from nasplug_reduction.extra_loss import ExtraLoss
from nasplug_reduction.picture import picture
from nasplug_reduction.strategies.routine import value
from torch import nn

from nasplug.contract.errors import SpecError
from nasplug.contract.records import Objective
from nasplug.evaluate.usermodel import UserModel


@pytest.mark.parametrize(
    ("state", "values", "direction", "expected"),
    [
        ("complete", {"a": 2.0}, "max", 2.0),
        ("complete", {"a": 2.0}, "min", -2.0),
        ("complete", {"a": float("nan")}, "max", float("-inf")),
        ("complete", {"b": 2.0}, "min", float("-inf")),
        ("pruned", {"a": 2.0}, "max", float("-inf")),
        ("failed", {}, "max", float("-inf")),
    ],
)
def test_larger_is_better_and_nothing_is_worst(state, values, direction, expected):
    study = SimpleNamespace(objectives=[Objective("a", direction)])
    assert value(study, SimpleNamespace(state=state, values=values)) == expected


def decided(widths, dropped=()):
    return Decisions(widths, dropped, {}, (), 1.0)


def test_a_picture_has_the_layers_that_make_channels_and_no_others():
    space = ReductionSpace("nasplug_reduction.example:small_resnet", "random", inputs=(3, 16, 16))
    architecture = space.full
    whole = picture(space.layout, decided(space.widths(architecture)))
    assert (whole.labels[0], whole.labels[-1]) == ("input", "output")
    assert all(re.fullmatch(r"(conv\dx\d|linear):[\d+]+|linear:out", label) for label in whole.labels[1:-1])
    widths = space.widths(architecture)
    block = space.blocks[0]
    assert len(picture(space.layout, decided(widths, (block,))).labels) == len(whole.labels) - 2
    for name in widths:  # groups that are not asked for have no width in it
        drawn = picture(space.layout, decided({name: 7}))
        made = {part for label in drawn.labels[1:-1] for part in label.partition(":")[2].split("+")}
        assert made <= {"7", "out"}
        assert len(drawn.labels) <= len(whole.labels)


def small(path, **changes):
    network = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    state = {**network.state_dict(), **changes}
    torch.save({name: tensor for name, tensor in state.items() if tensor is not None}, path)
    return network


def test_weights_of_a_file_are_taken_whole(tmp_path):
    path = tmp_path / "w.pt"
    network = small(path)
    with torch.no_grad():
        network[0].weight.zero_()
    UserModel(network, str(path))
    assert network[0].weight.any()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"0.bias": None}, "'0.bias' is missing in the file (1 missing, 0 of another shape)"),
        ({"0.weight": torch.ones(3, 5)}, "'0.weight' has shape (3, 5) in the file, (3, 4) here (0 missing, 1 of"),
        ({"0.bias": None, "0.weight": torch.ones(3, 5)}, "'0.bias' is missing in the file (1 missing, 1 of another"),
    ],
)
def test_weights_of_another_model_are_refused_by_the_first_that_differs(tmp_path, changes, why):
    path = tmp_path / "w.pt"
    network = small(path, **changes)
    with pytest.raises(SpecError, match="are not those of") as caught:
        UserModel(network, str(path))
    assert why in str(caught.value)


def test_a_model_that_timm_does_not_have_is_refused_with_a_suggestion():
    with pytest.raises(SpecError, match="timm has no model 'resnet1'") as caught:
        UserModel("timm:resnet1", "random").network  # noqa: B018
    assert "resnet" in str(caught.value)
    assert isinstance(UserModel("timm:resnet10t", "random", arguments={"num_classes": 3}).network, nn.Module)


def test_a_network_is_left_without_hooks_after_every_step():
    network = nn.Linear(2, 1)
    module = SimpleNamespace(automatic_optimization=True, training_step=lambda x: network(x).sum())
    callback = ExtraLoss(network, lambda call: call[2].sum() * 0 + 4.0, 0.5)
    callback.on_train_start(None, module)
    own = network(torch.ones(3, 2)).sum().item()
    for _ in range(3):
        assert module.training_step(torch.ones(3, 2)).item() == pytest.approx(0.5 * own + 2.0)
        assert not network._forward_hooks
    callback.on_train_end(None, module)
