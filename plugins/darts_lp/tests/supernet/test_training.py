"""Tests of `nasplug_darts_lp.supernet.training`."""

from __future__ import annotations

import pytest
import torch
from nasplug_darts_lp.spaces.layers.space import LayersSpace
from nasplug_darts_lp.supernet.mixing import Mixing
from nasplug_darts_lp.supernet.module import SupernetModule
from nasplug_darts_lp.supernet.options import SupernetOptions
from nasplug_darts_lp.supernet.settings import (
    CostSettings,
    LogitsSettings,
    SearchSettings,
    TrainingSettings,
)
from nasplug_darts_lp.supernet.training import Plan, captured, restore, train_round
from torch import nn

import nasplug as nas

SPACE = LayersSpace(width=0.125, blocks=1, weight_bits=(1, 4), activation_bits=(2, 8), first_last_bits=None)
TASK = nas.ImageClassification(limit=60, batch_size=16)


def plan(space=SPACE, task=TASK, epochs=1, mixing="gumbel", training=None, logits=None, cost=None):
    settings = SearchSettings(
        TrainingSettings(**training or {}),
        LogitsSettings(**{"warmup": 0.0, **(logits or {})}),
        CostSettings(**cost or {}),
    )
    return Plan(space, task, SupernetOptions(Mixing(mixing)), settings, epochs)


class Unready(nas.ImageClassification):
    """Its data can be set up only by a module that has prepared them itself, as those that unpack files do."""

    def datamodule(self):
        data = super().datamodule()

        class Data(type(data)):
            ready = False

            def prepare_data(self):
                super().prepare_data()
                self.ready = True

            def setup(self, stage=None):
                assert self.ready, "set up without prepare_data"
                super().setup(stage)

        data.__class__ = Data
        return data


def test_data_are_prepared_by_every_module_that_is_set_up():
    ours, theirs = (train_round(plan(task=task), {}, 5, 0, 2) for task in (TASK, Unready(limit=60, batch_size=16)))
    assert ours.losses == theirs.losses != ()


def logits_of(state):
    return {name: value for name, value in state.items() if ".logits." in name}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"training": {"optimisation": "joint", "optimizer": "adam", "lr": 0.01}},
        {"training": {"order": 2}, "mixing": "softmax"},
        {"mixing": "gumbel_hard", "cost": {"weight": 1.0, "loss": "multiply"}},
    ],
)
def test_equal_arguments_give_equal_rounds(settings):
    before = torch.get_rng_state()
    one, other = (train_round(plan(**settings), {}, 5, 0, 2) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert one.losses == other.losses
    assert one.state.keys() == other.state.keys()
    assert all(torch.equal(one.state[name], other.state[name]) for name in one.state)
    another = train_round(plan(**settings), {}, 6, 0, 2)
    assert any(not torch.equal(one.state[name], another.state[name]) for name in logits_of(one.state))


def test_the_state_is_complete():
    """Weights, buffers, momentum and Adam's averages: what is restored goes on as what was never stored."""
    first = train_round(plan(), {}, 5, 0, 2)
    assert any(name.startswith("weight_optimizer.") for name in first.state)
    assert any(name.startswith("logits_optimizer.") for name in first.state)
    supernet = SPACE.supernet(TASK.input_shape, TASK.outputs, SupernetOptions())
    module = SupernetModule(supernet, nn.Module(), SearchSettings(), 10)
    restore(module, first.state)
    again = captured(module)
    assert again.keys() == first.state.keys()
    assert all(torch.equal(again[name], first.state[name]) for name in again)


def test_logits_wait_for_the_end_of_the_warm_up():
    result = train_round(plan(logits={"warmup": 0.6}), {}, 0, 0, 2)  # half of the search
    supernet = result.supernet
    assert all(float(logits.detach().abs().max()) < 0.01 for logits in supernet.logits.parameters())
    assert not any(name.startswith("logits_optimizer.") for name in result.state)
    later = train_round(plan(logits={"warmup": 0.6, "lr": 0.1}), result.state, 0, 1, 2)
    assert max(float(logits.detach().abs().max()) for logits in later.supernet.logits.parameters()) > 0.01


@pytest.mark.parametrize(("loss", "strong"), [("add", 20.0), ("multiply", 2.0), ("hinge", 20.0)])
def test_a_cost_in_the_loss_lowers_the_cost(loss, strong):
    costs = []
    for weight in (0.0, strong):
        cost = {"weight": weight, "loss": loss, "target": 0.05}
        rules = {"lr": 0.3, "schedule": "constant"}
        supernet = train_round(plan(epochs=3, mixing="softmax", logits=rules, cost=cost), {}, 0, 0, 1).supernet
        # Stem and classifier are in floating point here, and cost more than all that can be chosen.
        costs.append(float(supernet.cost(supernet.logits.probabilities()) - supernet.costs.fixed))
    assert costs[1] < 0.7 * costs[0]


def test_a_supernet_that_diverges_says_so():
    result = train_round(plan(training={"lr": 1e12, "gradient_clip": 1e30, "optimisation": "joint"}), {}, 0, 0, 1)
    assert "not finite" in result.diverged or "nan" in result.diverged or "inf" in result.diverged
    assert result.state == {}
    assert all(torch.isfinite(p).all() for p in result.supernet.parameters())
