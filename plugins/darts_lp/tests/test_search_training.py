"""The training of supernets: who learns from what, when, and how it goes wrong."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from nasplug_darts_lp.spaces.layers.space import LayersSpace
from nasplug_darts_lp.supernet.base import SupernetOptions
from nasplug_darts_lp.supernet.division import divided
from nasplug_darts_lp.supernet.lookahead import second_order
from nasplug_darts_lp.supernet.mixing import Mixing
from nasplug_darts_lp.supernet.module import SupernetModule
from nasplug_darts_lp.supernet.settings import (
    CostSettings,
    LogitsSettings,
    SearchSettings,
    SupernetSettings,
    TrainingSettings,
)
from nasplug_darts_lp.supernet.training import Plan, captured, restore, train_round
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import nasplug as nas
from nasplug.contract.errors import SpecError, TaskError

SPACE = LayersSpace(width=0.125, blocks=1, weight_bits=(1, 4), activation_bits=(2, 8), first_last_bits=None)
TASK = nas.ImageClassification(limit=60, batch_size=16)


def plan(space=SPACE, task=TASK, epochs=1, mixing="gumbel", training=None, logits=None, cost=None):
    settings = SearchSettings(
        TrainingSettings(**training or {}),
        LogitsSettings(**{"warmup": 0.0, **(logits or {})}),
        CostSettings(**cost or {}),
    )
    return Plan(space, task, SupernetOptions(Mixing(mixing)), settings, epochs)


def logits_of(state):
    return {name: value for name, value in state.items() if ".logits." in name}


# -- division ----------------------------------------------------------------------------------------------------------


def seen(loader):
    """How often each image comes in an epoch."""
    return Counter(tuple(image.flatten().tolist()) for images, _ in loader for image in images)


def test_weights_and_logits_see_different_images_in_every_epoch():
    loader = TASK.datamodule().train_dataloader()
    first, second = divided(loader, 0.4, seed=1)
    weights, logits, everything = seen(first), seen(second), seen(loader)
    for _ in range(3):  # an epoch may leave out a batch of a single image
        weights |= seen(first)
        logits |= seen(second)
        everything |= seen(loader)
    assert not weights.keys() & logits.keys()
    assert weights.keys() | logits.keys() == everything.keys()
    assert len(logits) == round(0.4 * len(everything))
    again = divided(loader, 0.4, seed=1)[1]
    assert seen(again).keys() <= logits.keys()


def test_neither_sees_validation_or_test_images():
    module = TASK.datamodule()
    parts = [seen(loader) for loader in divided(module.train_dataloader(), 0.5, 0)]
    held = seen(module.val_dataloader()) | seen(module.test_dataloader())
    assert not (parts[0].keys() | parts[1].keys()) & held.keys()


def test_loaders_of_torch_and_with_workers():
    data = TensorDataset(torch.arange(20.0).view(20, 1), torch.zeros(20))
    first, second = divided(DataLoader(data, batch_size=4, shuffle=True), 0.25, 0)
    values = [sorted(v for batch in loader for v in batch[0].flatten().tolist()) for loader in (first, second)]
    assert sorted(values[0] + values[1]) == list(range(20))
    assert len(values[1]) == 5
    loader = nas.ImageClassification(limit=60, num_workers=1).datamodule().train_dataloader()
    assert [part.num_workers for part in divided(loader, 0.5, 0)] == [1, 1]


class Endless(IterableDataset):
    def __iter__(self):
        return iter(())


def test_what_cannot_be_divided():
    with pytest.raises(TaskError, match="optimisation: joint"):
        divided(DataLoader(Endless()), 0.5, 0)
    with pytest.raises(TaskError, match="optimisation: joint"):
        divided([1, 2, 3], 0.5, 0)
    with pytest.raises(TaskError, match="1 of 20"):
        divided(DataLoader(TensorDataset(torch.arange(20))), 0.05, 0)


# -- rounds ------------------------------------------------------------------------------------------------------------


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


def test_a_budget_that_is_kept_costs_nothing():
    supernet = SPACE.supernet((1, 8, 8), 10, SupernetOptions())
    settings = SearchSettings(cost=CostSettings(weight=3.0, loss="hinge", target=2.0))
    module = SupernetModule(supernet, nn.Module(), settings, 10)
    supernet(torch.randn(4, 1, 8, 8))
    assert float(module.with_cost(torch.tensor(1.25)).detach()) == 1.25


def test_a_supernet_that_diverges_says_so():
    result = train_round(plan(training={"lr": 1e12, "gradient_clip": 1e30, "optimisation": "joint"}), {}, 0, 0, 1)
    assert "not finite" in result.diverged or "nan" in result.diverged or "inf" in result.diverged
    assert result.state == {}
    assert all(torch.isfinite(p).all() for p in result.supernet.parameters())


# -- the second-order gradient -----------------------------------------------------------------------------------------


class Quadratic(nn.Module):
    """L_train = (w - a)^2 / 2 and L_val = (w - 1)^2 / 2 + a b w: everything about them is known."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([0.5], dtype=torch.float64))
        self.logits = nn.ParameterList([nn.Parameter(torch.tensor([0.3], dtype=torch.float64))])

    def network_parameters(self):
        return [self.w]


class Losses:
    settings = SearchSettings(TrainingSettings(order=2, weight_decay=0.0, momentum=0.9))

    def __init__(self, supernet):
        self.supernet = supernet
        self.weight_optimizer = torch.optim.SGD([supernet.w], lr=0.1, momentum=0.9)

    def loss(self, batch, index):
        w, a = self.supernet.w, self.supernet.logits[0]
        return ((w - a) ** 2 / 2).sum() if batch == "train" else ((w - 1) ** 2 / 2 + 0.7 * a * w).sum()

    def with_cost(self, loss):
        return loss


def test_the_second_order_gradient_is_that_of_the_step_ahead():
    supernet = Quadratic()
    module = Losses(supernet)
    second_order(module, "train", "val", 0)
    w, a, rate = 0.5, 0.3, 0.1
    ahead = w - rate * (w - a)  # and d ahead / d a = rate
    wanted = 0.7 * ahead + rate * (ahead - 1 + 0.7 * a)
    assert float(supernet.logits[0].grad) == pytest.approx(wanted, rel=1e-6)
    assert float(supernet.w.detach()) == 0.5
    module.weight_optimizer.state[supernet.w]["momentum_buffer"] = torch.tensor([0.2], dtype=torch.float64)
    second_order(module, "train", "val", 0)
    ahead -= rate * 0.9 * 0.2
    assert float(supernet.logits[0].grad) == pytest.approx(0.7 * ahead + rate * (ahead - 1 + 0.7 * a), rel=1e-6)


def test_looking_ahead_leaves_weights_and_statistics_as_they_were():
    supernet = SPACE.supernet((1, 8, 8), 10, SupernetOptions())
    module = SupernetModule(supernet, TASK.module(supernet, {}), SearchSettings(TrainingSettings(order=2)), 10)
    batch = torch.randn(8, 1, 8, 8), torch.arange(8)
    module.loss(batch, 0)  # ranges of quantisers are set by the first batch
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    second_order(module, batch, batch, 0)
    assert all(torch.equal(value, before[name]) for name, value in supernet.state_dict().items())
    assert all(torch.isfinite(logits.grad).all() for logits in supernet.logits.parameters())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TrainingSettings(optimisation="bilevle"), "did you mean 'bilevel'"),
        (lambda: TrainingSettings(optimizer="adma"), "did you mean 'adam'"),
        (lambda: TrainingSettings(schedule="cosin"), "did you mean 'cosine'"),
        (lambda: TrainingSettings(order=3), "order=3"),
        (lambda: TrainingSettings(order=2, optimisation="joint"), "bilevel"),
        (lambda: TrainingSettings(lr=0.0), "lr must be > 0"),
        (lambda: TrainingSettings(weight_decay=-1.0), "weight_decay must be >= 0"),
        (lambda: LogitsSettings(lr=math.nan), "lr must be > 0"),
        (lambda: LogitsSettings(warmup=1.0), "warmup must be >= 0 and < 1"),
        (lambda: LogitsSettings(fraction=0.0), "fraction must be > 0 and < 1"),
        (lambda: LogitsSettings(fraction=1.0), "fraction must be > 0 and < 1"),
        (lambda: CostSettings(loss="hing"), "did you mean 'hinge'"),
        (lambda: CostSettings(target=0.0), "target must be > 0"),
        (lambda: SupernetSettings(partial=0), "partial must be >= 1"),
        (lambda: SupernetSettings(scaling="gradients"), "did you mean 'gradient'"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(SpecError, match=message):
        make()


@pytest.mark.parametrize(
    ("group", "name"), [(TrainingSettings, "lr_min"), (CostSettings, "weight"), (LogitsSettings, "warmup")]
)
def test_zero_is_allowed_where_it_means_something(group, name):
    assert getattr(group(**{name: 0.0}), name) == 0.0
