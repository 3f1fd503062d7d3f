"""Shared weights: every part computes with them, and gradients reach them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nasplug_reduction import ReductionSpace
from nasplug_reduction.example import images
from nasplug_reduction.extra_loss import difference
from nasplug_reduction.strategies.evolution import Supernet
from nasplug_reduction.supernet import Part, Shared

import nasplug as nas
from nasplug.evaluate.supernet.evaluator import SupernetEvaluator
from nasplug.evaluate.supernet.network import SharedNetwork
from nasplug.evaluate.supernet.sharing import fill, places
from nasplug.testing import run_search


@pytest.fixture
def space():
    return ReductionSpace("nasplug_reduction.example:small_resnet", "random", inputs=(3, 16, 16))


def test_a_part_is_the_network_that_is_cut_out(space):
    whole = space.build(space.full)
    for seed in range(5):
        architecture = space.sample(np.random.default_rng(seed))
        part, cut = Part(space, architecture), space.build(architecture).train()
        x = torch.randn(4, 3, 16, 16)
        assert torch.allclose(part(whole, x), cut(x), atol=1e-6)


def test_gradients_of_a_part_reach_its_channels_alone(space):
    whole = space.build(space.full)
    architecture = space.architecture([6, 5, 12, "keep", "drop"])
    Part(space, architecture)(whole, torch.randn(4, 3, 16, 16)).square().mean().backward()
    kept = space.kept(architecture)["0"]
    moved = whole[0].weight.grad.abs().sum(dim=(1, 2, 3)) > 0
    assert set(moved.nonzero().flatten().tolist()) == set(kept.tolist())
    assert whole[4].conv1.weight.grad is None  # the block that is passed by


def test_statistics_of_the_whole_network_stay(space):
    whole = space.build(space.full)
    before = whole[1].running_mean.clone()
    Part(space, space.smallest)(whole, torch.randn(4, 3, 16, 16))
    assert torch.equal(whole[1].running_mean, before)


def test_the_loss_is_that_of_the_parts(space):
    whole = space.build(space.full)
    shared = Shared(whole, space, np.random.default_rng(0), samples=1, pool=1)
    x = torch.randn(4, 3, 16, 16)
    wanted = whole(x)
    loss = shared.loss(((x,), {}, wanted))
    parts = [Part(space, space.smallest), shared._pool[0]]
    expected = torch.stack([difference(part(whole, x), wanted) for part in parts]).mean()
    assert torch.allclose(loss, expected)


def test_the_same_answer_is_no_difference():
    logits = torch.tensor([[1.0, 2.0], [0.0, -1.0]])
    assert difference(logits, logits).item() == pytest.approx(0.0, abs=1e-7)
    # KL([0.5, 0.5], softmax([0, 1])) by hand.
    found = difference(torch.tensor([[0.0, 1.0]]), torch.tensor([[0.0, 0.0]]))
    p = 1 / (1 + np.e)
    assert found.item() == pytest.approx(0.5 * np.log(0.5 / p) + 0.5 * np.log(0.5 / (1 - p)), rel=1e-5)
    assert difference(torch.tensor([[1.0], [3.0]]), torch.tensor([[0.0], [0.0]])).item() == pytest.approx(5.0)


def test_a_front_of_sizes_costs_one_training(space):
    strategy = Supernet(0.25, generations=1, children=1, supernet_epochs=1, final_epochs=0, compare=False, sizes=2)
    study = nas.search(images(), space=space, strategy=strategy, objectives={"val_acc": "max"}, trials=20)
    steps = [trial for trial in study.trials if trial.proposal.info["role"] == "step"]
    original = space.params(space.full)
    assert [0.4 < space.params(each.architecture) / original <= 0.5 for each in steps] == [True, False]
    assert space.params(steps[1].architecture) <= 0.25 * original
    assert {study.budget_of(each).epochs for each in steps} == {0}
    (key,) = {each.proposal.info["supernet"] for each in steps}
    from nasplug.evaluate.weights import read_tensors

    weights = read_tensors(study.work_folder(key) / "weights.safetensors")
    stem = study.network(steps[0])[0].weight
    assert torch.equal(stem, weights["0.weight"][space.kept(steps[0].architecture)["0"]])


def test_trials_are_cut_from_the_shared_weights(space, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    strategy = Supernet(0.4, generations=2, children=2, supernet_epochs=1, final_epochs=1)
    study = nas.search(images(), space=space, strategy=strategy, objectives={"val_acc": "max"}, trials=20)
    assert [trial.state for trial in study.trials] == ["complete"] * 7, [trial.failure for trial in study.trials]
    candidate, found = study.trials[1], study.trials[-2]
    key = candidate.proposal.info["supernet"]
    from nasplug.evaluate.weights import read_tensors

    weights = read_tensors(study.work_folder(key) / "weights.safetensors")
    kept = space.kept(candidate.architecture)["0"]
    stem = study.network(candidate)[0].weight
    assert torch.equal(stem, weights["0.weight"][kept])
    assert not torch.equal(weights["0.weight"], space.model.network[0].weight)
    assert study.trial(found.proposal.inherits.trial).proposal.info["supernet"] == key
    assert not list(tmp_path.iterdir()), "the person's folder stays as it was"


def test_the_evaluator_shares_the_channels_that_stay(space, monkeypatch):
    for name, number in {"SEEN": 24, "MOST": 24, "SETTLED": 0}.items():
        monkeypatch.setattr(f"nasplug.evaluate.supernet.network.{name}", number)
    network = SharedNetwork(space, images(), np.random.default_rng(0))
    x = torch.randn(4, 3, 16, 16)
    for seed in range(3):
        architecture = space.sample(np.random.default_rng(seed))
        network.choose(architecture)
        alone = space.build(architecture)
        fill(alone, places(space, architecture, alone), network.state())
        assert torch.allclose(alone.train()(x), network.train()(x), atol=1e-5)
    where = places(space, architecture, alone)
    assert where["0.weight"].indices[0].tolist() == space.kept(architecture)["0"].tolist()


def test_any_strategy_searches_sizes_with_one_training(space, monkeypatch):
    for name, number in {"SEEN": 24, "MOST": 24, "SETTLED": 0}.items():
        monkeypatch.setattr(f"nasplug.evaluate.supernet.network.{name}", number)
    evaluator = SupernetEvaluator(1, recalibrate=1)
    study = run_search("random", trials=3, space=space, task=images(), evaluator=evaluator)

    assert [trial.state for trial in study.trials] == ["complete"] * 3
