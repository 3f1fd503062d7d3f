"""Stability of trained networks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from nasplug_cgap.stability.cost import Roughness, Stability, fitness
from nasplug_cgap.stability.held_out import held_out
from nasplug_cgap.stability.landscape import Landscape, landscape, roughness
from nasplug_cgap.stability.noise import noise, under_noise
from torch import nn

import nasplug as nas
from nasplug.contract.errors import SpecError
from nasplug.testing import CostConformance

from .conftest import Nets, blobs


class Conformance(CostConformance):
    def make_space(self):
        return Nets()

    def make_task(self):
        return blobs()


class TestStability(Conformance):
    name = "stability"

    def make_cost(self):
        return Stability(draws=2)


class TestRoughness(Conformance):
    name = "roughness"

    def make_cost(self):
        return Roughness(points=3, samples=16)


def test_noise_is_relative_and_spares_vectors():
    network = nn.Sequential(nn.Conv2d(3, 64, 5), nn.BatchNorm2d(64), nn.Flatten(), nn.Linear(64, 64))
    with torch.no_grad():
        network[0].weight.mul_(10.0)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with noise(network, 0.5, seed=1):
        for name, value in network.state_dict().items():
            moved = (value - before[name]).float()
            if value.dim() < 2:
                assert torch.equal(value, before[name])
            else:
                assert moved.std().item() == pytest.approx(0.5 * before[name].std().item(), rel=0.05)
        first = network[0].weight.detach().clone()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    with noise(network, 0.5, seed=1):
        assert torch.equal(network[0].weight, first)
    with noise(network, 0.5, seed=2):
        assert not torch.equal(network[0].weight, first)


def test_without_noise_nothing_drops():
    network = Nets().build(Nets().architecture((4,)), blobs())
    found = under_noise(network, held_out(blobs(), "x"), 0.0, draws=3)
    assert found.drop == 0
    assert found.noisy == (found.clean,) * 3


def test_changes_for_the_better_count_too():
    """Mean of absolute changes: 0.1 up and 0.3 down."""
    from nasplug_cgap.stability.noise import NoiseResult

    assert NoiseResult(0.5, (0.6, 0.2)).drop == pytest.approx(0.2)


def test_roughness_of_a_bowl_is_nothing():
    x, y = np.random.default_rng(0).normal(size=(2, 50))
    bowl = 3 * x**2 + 0.5 * y**2 - x + 2 * y + 7
    assert roughness(x, y, bowl) < 1e-20
    assert roughness(x, y, bowl + x * y) > 0.01  # which the authors' fit does not have
    wave = bowl + np.where(np.arange(50) % 2, 0.3, -0.3)
    assert 0.05 < roughness(x, y, wave) <= 0.09


def test_points_of_lowest_loss_may_be_left_out():
    steps = np.linspace(-1, 1, 5)
    losses = steps[:, None] ** 2 + steps[None] ** 2 + 1
    losses[2, 2] -= 0.5
    surface = Landscape(steps, losses)
    assert surface.roughness() > 1e-3
    assert surface.roughness(drop=0.04) < 1e-20  # one of 25


def test_the_middle_is_the_loss_of_the_network():
    task = blobs()
    network = Nets().build(Nets().architecture((4,)), task)
    batches = held_out(task, "x")
    surface = landscape(network, batches, points=3, radius=0.5, seed=1)
    with torch.no_grad():
        inputs, targets = (torch.cat(part) for part in zip(*batches, strict=True))
        expected = nn.functional.cross_entropy(network.eval()(inputs), targets).item()
    assert surface.losses[1, 1] == pytest.approx(expected, rel=1e-5)
    assert surface.losses.std() > 0


def test_directions_are_as_long_as_the_filters():
    """Of a network whose output is its one filter, the loss moves with the norm of the step."""
    from nasplug_cgap.stability.landscape import _direction

    weight = torch.randn(5, 3, 2, 2)
    direction = _direction(weight, torch.Generator().manual_seed(0))
    assert torch.allclose(direction.flatten(1).norm(dim=1), weight.flatten(1).norm(dim=1))


@pytest.mark.parametrize("faithful", [True, False])
def test_fitness_rises_with_accuracy_and_falls_with_the_drop(faithful):
    better = fitness(0.8, 0.1, 0.01, faithful=faithful)
    assert better > fitness(0.7, 0.1, 0.01, faithful=faithful)
    assert better > fitness(0.8, 0.2, 0.01, faithful=faithful)


def test_a_network_that_knows_nothing_wins_only_in_the_authors_form():
    good, empty = (0.8, 0.1), (0.1, 0.0)
    assert fitness(*empty, 0.03, faithful=True) > fitness(*good, 0.03, faithful=True)
    assert fitness(*empty, 0.03) < fitness(*good, 0.03)


def test_every_strategy_can_search_for_it(tmp_path):
    study = nas.search(
        blobs(),
        space=Nets(),
        strategy="random",
        costs=[nas.component("roughness", points=3), nas.component("stability", schedule="2+2", samples=20)],
        objectives={"val_acc": "max", "stability/drop": "min"},
        trials=2,
        epochs=1,
        storage=tmp_path / "s.sqlite",
    )
    for trial in study.trials:
        assert trial.state == "complete", trial.failure
        assert 0 <= trial.costs["stability/drop"] <= 1
        floor = 1 / math.sqrt(20)
        drop = max(floor, trial.costs["stability/drop"])
        assert trial.costs["stability/fitness"] == pytest.approx(trial.costs["stability/clean_acc"] ** 2 / drop)
    page = study.report(tmp_path / "report.html").read_text()
    assert "Loss around the trained weights" in page


def test_classes_of_the_first_stages_alone():
    labels = torch.cat([y for _, y in held_out(blobs(), "x", schedule="2+1+1", stages=2, order=None)])
    assert sorted(set(labels.tolist())) == [0, 1, 2]
    assert len(torch.cat([y for _, y in held_out(blobs(), "x", samples=7)])) == 7


@pytest.mark.parametrize(
    "make",
    [
        lambda: Stability(alpha=-1.0),
        lambda: Stability(draws=0),
        lambda: Stability(floor=0.0),
        lambda: Stability(schedule="5"),
        lambda: Roughness(points=2),
        lambda: Roughness(drop=1.0),
    ],
)
def test_bad_settings(make):
    with pytest.raises(SpecError, match=r"stability|roughness"):
        make()


def test_without_a_task():
    with pytest.raises(SpecError, match="add a task"):
        held_out(None, "stability")


@pytest.mark.parametrize("count", [1, 2])
def test_every_surface_has_axes_and_one_scale_of_colours(count):
    from nasplug_cgap.stability.picture import draw

    steps = np.linspace(-1.0, 1.0, 5)
    bowl = steps[:, None] ** 2 + 2.0 * steps**2 + 0.1
    trials = [
        nas.Trial(number, nas.Proposal(nas.Architecture("s", (number,), str(number))), costs={"roughness/mse": 0.25})
        for number in (3, 8)[:count]
    ]
    figure = draw([Landscape(steps, bowl * 10**index) for index in range(count)], trials)
    *axes, bar = figure.axes
    assert [each.get_title() for each in axes] == ["trial 3, roughness 0.25", "trial 8, roughness 0.25"][:count]
    assert bar.get_ylabel() == "log10 of the loss"
    limits = {tuple(each.collections[0].get_clim()) for each in axes}
    assert len(limits) == 1


@pytest.mark.parametrize(
    ("accuracy", "drop", "floor", "faithful", "expected"),
    [
        (0.8, 0.1, 0.01, False, 0.64 / 0.1),
        (0.8, 0.001, 0.01, False, 0.64 / 0.01),
        (0.8, 0.01, 0.01, False, 0.64 / 0.01),
        (0.8, 0.1, 0.5, True, 0.64 / 0.10001),
        (0.5, 0.0, 0.5, True, 0.25 / 0.00001),
        (0.0, 0.2, 0.1, False, 0.0),
    ],
)
def test_fitness_by_hand(accuracy, drop, floor, faithful, expected):
    assert fitness(accuracy, drop, floor, faithful=faithful) == pytest.approx(expected)


def test_the_trained_weights_are_marked_in_every_surface():
    from types import SimpleNamespace

    from nasplug_cgap.stability.picture import draw

    steps = np.linspace(-1, 1, 5)
    losses = 1 + steps[:, None] ** 2 + 3 * steps[None, :] ** 2
    surfaces = [SimpleNamespace(steps=steps, losses=losses * factor) for factor in (1, 10)]
    trials = [SimpleNamespace(number=number, costs={"roughness/mse": 0.1 * number}) for number in (3, 8)]
    axes = draw(surfaces, trials).axes[:2]
    for axis, trial in zip(axes, trials, strict=True):
        (mark,) = axis.lines
        assert (mark.get_xdata().tolist(), mark.get_ydata().tolist()) == ([0], [0])
        assert axis.get_title() == f"trial {trial.number}, roughness {0.1 * trial.number:.3g}"
