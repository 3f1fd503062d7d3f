"""Faults that the suites for costs and hardware targets find."""

from __future__ import annotations

import pytest

import nasplug as nas
from nasplug.testing import CostConformance, SyntheticCost, TargetConformance
from tests.testing.faults import WRONG


class TestHealthyCost(CostConformance):
    name = "units"

    def make_cost(self):
        return SyntheticCost()


def _cost(answer):
    return type("Cost", (), {"cost": nas.hookimpl(lambda self, candidate: answer(candidate))})


def _train(candidate):
    candidate.network.eval()
    return {"units": 1.0}


def _scale(candidate):
    import torch

    with torch.no_grad():
        next(candidate.network.parameters()).mul_(2)
    return {"units": 1.0}


def _noise(candidate):
    import torch

    return {"units": float(torch.rand(()))}


@pytest.mark.parametrize(
    ("answer", "test"),
    [
        (lambda candidate: {"other": 1.0}, "test_values_are_numbers_in_its_namespace"),
        (lambda candidate: {"units": -1.0}, "test_values_are_numbers_in_its_namespace"),
        (lambda candidate: {"units": float("inf")}, "test_values_are_numbers_in_its_namespace"),
        (lambda candidate: {}, "test_values_are_numbers_in_its_namespace"),
        (lambda candidate: {f"units/{candidate.architecture.key}": 1.0}, "test_keys_do_not_depend_on_the_candidate"),
        (_noise, "test_equal_candidates_cost_the_same"),
        (_noise, "test_global_random_generators_are_left_alone"),
        (_train, "test_the_network_is_left_as_it_was"),
        (_scale, "test_the_network_is_left_as_it_was"),
    ],
)
def test_costs(answer, test):
    pytest.importorskip("torch")
    suite = type("Suite", (CostConformance,), {"name": "units", "make_cost": lambda self: _cost(answer)()})()
    with pytest.raises(WRONG):
        getattr(suite, test)()


class Target:
    capabilities = {"bits": [8]}  # noqa: RUF012

    def __init__(self, name, **wrong):
        self.name, self.wrong = name, wrong

    def estimate(self, candidate):
        return {"latency_s": 1e-3 * sum(p.numel() for p in candidate.network.parameters()), **self.wrong}


class Targets:
    def __init__(self, **wrong):
        self.wrong = wrong

    @nas.hookimpl
    def hardware_target(self, name):
        return Target(name, **self.wrong) if name.startswith("toy:") else None


class TestHealthyTarget(TargetConformance):
    names = ("toy:a", "toy:b")

    def make_target(self):
        return Targets()


@pytest.mark.parametrize("wrong", [{"energy_j": -1.0}, {"energy_j": float("nan")}, {"toy/energy_j": 1.0}])
def test_targets(wrong):
    pytest.importorskip("torch")
    suite = type("Suite", (TargetConformance,), {"names": ("toy:a",), "make_target": lambda self: Targets(**wrong)})()
    with pytest.raises(WRONG):
        suite.test_estimates_are_finite_amounts()
