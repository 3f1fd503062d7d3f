"""Segments: importance, and units that stay identical bit by bit."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from nasplug_cgap.learners.acquire import Acquire
from nasplug_cgap.learners.layers import Layer
from nasplug_cgap.learners.pst import PST
from nasplug_cgap.learners.segmented import Segmented
from nasplug_cgap.learners.segments import Frozen, important, reinitialise, union, unit_scores
from nasplug_cgap.sequence.memory import Memory
from torch import nn

import nasplug as nas
from nasplug.contract.errors import SpecError
from nasplug.testing import EvaluatorConformance

from .conftest import Nets, blobs

SCHEDULE = "2+1+1"


class Conformance(EvaluatorConformance):
    trials = 2

    def make_space(self):
        return Nets()

    def make_task(self):
        return blobs()


class TestPST(Conformance):
    def make_evaluator(self):
        return PST(SCHEDULE, memory=Memory(12))


class TestFaithfulPST(Conformance):
    def make_evaluator(self):
        return PST(SCHEDULE, memory=Memory(12), faithful=True)


class TestAcquire(Conformance):
    def make_evaluator(self):
        return Acquire(SCHEDULE, memory=Memory(12))


@pytest.mark.parametrize(
    ("score", "expected"), [("grad_w", [1 * 2 + 2 * 0.5, 4 * 1.0]), ("abs_w", [3, 4]), ("abs_grad", [2.5, 2.0])]
)
def test_scores_by_hand(score, expected):
    network = nn.Sequential(nn.Linear(2, 2))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[1.0, -2.0], [0.0, 4.0]]))
    gradients = {"0": torch.tensor([[-2.0, 0.5], [1.0, -1.0]])}
    found = unit_scores(network, [Layer("0", 4, 2)], score, gradients)
    assert found["0"].tolist() == expected


def test_the_best_free_units():
    scores = {"a": torch.tensor([5.0, 1.0, 4.0, 3.0]), "b": torch.tensor([1.0, 2.0])}
    first = important(scores, 0.5, {})
    assert first["a"].tolist() == [True, False, True, False]
    second = important(scores, 0.5, first)
    assert second["a"].tolist() == [False, True, False, True]
    both = union(first, second)
    assert all(mask.all() for mask in both.values())
    assert not any(mask.any() for mask in important(scores, 0.5, both).values())
    assert important(scores, 0.1, {})["b"].tolist() == [False, True]  # at least one


def test_frozen_units_survive_any_optimiser():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), nn.Flatten(), nn.Linear(24, 3))
    layers = [Layer("0", 1, 6, "1"), Layer("3", 1, 3)]
    mask = torch.tensor([True, False, True, False, False, False])
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for norms, tied in (("free", ()), ("affine", ("weight", "bias")), ("all", ("weight", "bias", "running_mean"))):
        network.load_state_dict(before)
        frozen = Frozen(network, layers, {"0": mask}, norms)
        optimizer = torch.optim.SGD(network.parameters(), 0.5, momentum=0.9, weight_decay=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            network(torch.randn(8, 2, 4, 4)).square().sum().backward()
            optimizer.step()
            frozen.restore()
        after = network.state_dict()
        for name in ("0.weight", "0.bias"):
            assert torch.equal(after[name][mask], before[name][mask])
            assert (after[name][~mask] != before[name][~mask]).any()
        for name in ("weight", "bias", "running_mean"):
            assert torch.equal(after[f"1.{name}"][mask], before[f"1.{name}"][mask]) == (name in tied)


def test_drawn_anew():
    network = nn.Sequential(nn.Conv2d(2, 4, 3))
    before = network[0].weight.detach().clone()
    mask = torch.tensor([False, True, True, False])
    reinitialise(network, {"0": mask})
    changed = (network[0].weight != before).flatten(1).any(1)
    assert changed.tolist() == mask.tolist()
    assert network[0].bias[mask].tolist() == [0, 0]


@pytest.mark.parametrize(
    "evaluator",
    [
        PST(SCHEDULE, memory=Memory(12)),
        PST(SCHEDULE, memory=Memory(12), norms="all"),
        PST(SCHEDULE, memory=Memory(12), faithful=True),
        Acquire(SCHEDULE, memory=Memory(12)),
        Acquire(SCHEDULE, memory=Memory(12), faithful=True),
    ],
    ids=["pst", "pst, all of the normalisation", "faithful pst", "acquire", "faithful acquire"],
)
def test_frozen_filters_are_identical_at_the_end(evaluator, monkeypatch):
    """Every segment, from the moment it is frozen to the end of the sequence."""
    noted = []
    freeze = Segmented.freeze

    def note(self, masks):
        freeze(self, masks)
        state = {name: value.clone() for name, value in self.course.network.state_dict().items()}
        noted.append(SimpleNamespace(masks=dict(self.frozen), state=state, layers=self.course.layers))

    monkeypatch.setattr(Segmented, "freeze", note)
    study = nas.search(blobs(), space=Nets(), evaluator=evaluator, trials=1, epochs=2)
    assert study.trials[0].state == "complete", study.trials[0].failure
    final = study.network(study.trials[0]).state_dict()
    assert len(noted) == 2  # the last stage freezes nothing
    for step, share in zip(noted, (0.5, 0.75), strict=True):
        for layer in step.layers.body:
            mask = step.masks[layer.name]
            assert mask.float().mean() == pytest.approx(share, abs=1 / len(mask))
            name = f"{layer.name}.weight"
            assert torch.equal(final[name][mask], step.state[name][mask])
            assert not torch.equal(final[name][~mask], step.state[name][~mask])
            if evaluator.norms == "all":
                for part in ("weight", "bias", "running_mean", "running_var"):
                    name = f"{layer.norm}.{part}"
                    assert torch.equal(final[name][mask], step.state[name][mask])


def learn(evaluator, epochs=6):
    study = nas.search(blobs(), space=Nets(), evaluator=evaluator, trials=1, epochs=epochs)
    assert study.trials[0].state == "complete", study.trials[0].failure
    return study.trials[0].metrics


def test_they_remember():
    pst = learn(PST(SCHEDULE, memory=Memory(24)))
    assert pst["val_acc"] > 0.5
    assert pst["forgetting"] < 0.5
    acquired = learn(Acquire("3+1", memory=Memory(24)))
    assert acquired["acquire_flops_per_image"] < pst["acquire_flops_per_image"] / 2
    assert acquired["memory_bytes"] == 24 * 64


def test_a_network_of_a_head_alone_has_nothing_to_freeze():
    class Heads(Nets):
        def build(self, architecture, task):
            return nn.Sequential(nn.Flatten(), nn.Linear(64, task.outputs))

    study = nas.search(blobs(), space=Heads(), evaluator=PST(SCHEDULE, memory=Memory(12)), trials=1, epochs=1)
    assert study.trials[0].state == "complete", study.trials[0].failure


def test_the_authors_memory():
    learner = PST(memory=Memory(50), faithful=True)
    assert (learner.memory.selection, learner.memory.shares, learner.memory.size) == ("first", "stage", 50)
    assert (learner.score_batches, learner.norms) == (1, "free")


def test_networks_without_a_linear_head_fail_before_they_train():
    study = nas.search(blobs(), space=Nets(head=False), evaluator=PST(SCHEDULE, memory=Memory(12)), trials=1, epochs=1)
    assert study.trials[0].state == "failed"
    assert "does not end with a linear layer" in study.trials[0].failure.message
    assert not study.trials[0].measurements


@pytest.mark.parametrize("make", [lambda: PST(score_batches=0), lambda: Acquire(edge=0.0), lambda: Acquire(rate=-1.0)])
def test_bad_settings(make):
    with pytest.raises(SpecError, match="cgap"):
        make()
