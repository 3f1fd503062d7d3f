"""What all learners share, through the public search."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from nasplug_cgap.learners.ewc import EWC, Pull
from nasplug_cgap.learners.lwf import LwF
from nasplug_cgap.learners.plain import Joint, Naive
from nasplug_cgap.learners.replay import Replay
from nasplug_cgap.sequence.memory import Memory
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

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


class TestNaive(Conformance):
    def make_evaluator(self):
        return Naive(SCHEDULE)


class TestReplay(Conformance):
    def make_evaluator(self):
        return Replay(SCHEDULE, memory=Memory(12))


class TestEWC(Conformance):
    def make_evaluator(self):
        return EWC(SCHEDULE, samples=16)


def learn(evaluator, *, epochs=6, task=None, space=None, seed=0, **options):
    study = nas.search(
        task or blobs(), space=space or Nets(), evaluator=evaluator, trials=1, epochs=epochs, seed=seed, **options
    )
    (trial,) = study.trials
    assert trial.state == "complete", trial.failure
    return trial.metrics


def test_naive_training_forgets_and_a_memory_remembers():
    naive, joint = learn(Naive(SCHEDULE)), learn(Joint(SCHEDULE))
    replay = learn(Replay(SCHEDULE, memory=Memory(24)))
    assert naive["forgetting"] >= 0.5
    assert naive["val_acc"] <= 0.5 < replay["val_acc"]
    assert joint["val_acc"] > 0.9
    assert joint["forgetting"] < 0.1
    assert joint["train_flops"] > naive["train_flops"]
    assert replay["memory_bytes"] == 24 * 64
    assert naive["memory_bytes"] == 0


def test_the_work_is_that_of_all_steps():
    """Every one of 40 images of four classes is trained on once in an epoch, in its own stage."""
    metrics = learn(Naive(SCHEDULE), epochs=2)
    width = 4 if _macs(4) * 3 * 2 * 2 * 160 > metrics["train_flops"] * 0.99 else 6
    forward = _macs(width)
    first = width * 9 * 64  # whose inputs need no gradient
    assert metrics["train_flops"] == 2 * 2 * 160 * (3 * forward - first)
    assert metrics["train_flops_per_image"] == metrics["train_flops"] / 160
    assert metrics["acquire_flops_per_image"] == metrics["train_flops_per_image"]


def _macs(width):
    return width * 9 * 64 + width * 2 * width * 9 * 64 + 32 * width * 4


def test_the_pull_is_a_step_on_the_penalty():
    network = nn.Linear(2, 1, bias=False)
    start = network.weight.detach().clone()
    fisher, anchor = {"weight": torch.tensor([[2.0, 0.0]])}, {"weight": start - 1.5}
    optimizer = torch.optim.SGD(network.parameters(), 1e-4)
    trainer = SimpleNamespace(optimizers=[optimizer])
    pull = Pull(network, fisher, anchor, strength=10.0)
    pull.on_train_start(trainer, None)
    pull.on_train_batch_end(trainer, None, None, None, 0)
    moved = (network.weight - start).detach()
    assert torch.allclose(moved, torch.tensor([[-1e-4 * 10 * 2 * 1.5, 0.0]]), rtol=1e-2)
    optimizer.param_groups[0]["lr"] = 1e9  # however large, it does not go beyond the anchor
    pull.on_train_batch_end(trainer, None, None, None, 0)
    assert torch.allclose(network.weight, torch.stack([start[0, 0] - 1.5, start[0, 1]])[None], atol=1e-5)


def test_fisher_information_by_hand():
    """Of softmax(w x) with one input x: the mean over labels of (x (1 - p))^2 and the like is x^2 p (1 - p)."""
    data = TensorDataset(torch.full((64, 1), 2.0), torch.arange(64) % 2)
    network = nn.Linear(1, 2, bias=False)
    nn.init.constant_(network.weight, 0.5)

    class Course:
        device, meter, sequence = torch.device("cpu"), SimpleNamespace(train=lambda images: None), (0, 1)

        def seed(self, role):
            return 0

        def batches(self, indices):
            yield from DataLoader(data, 16)

    course = Course()
    course.network = network
    method = EWC("2+2", samples=64).method(course)
    method._remember(np.arange(64), 0)
    state = method.state_dict()
    assert torch.allclose(state["fisher.weight"], torch.full((2, 1), 4 * 0.25))
    assert torch.equal(state["anchor.weight"], network.weight)
    method._remember(np.arange(64), 1)  # what mattered for either stage matters
    assert torch.allclose(method.state_dict()["fisher.weight"], torch.full((2, 1), 2 * 4 * 0.25))


@pytest.mark.parametrize(("stages", "acquired"), [(1, 0.0), (2, (700.0 - 100.0) / 30)])
def test_what_is_acquired_later_costs_what_the_later_stages_cost(stages, acquired):
    """Ten images come first and thirty later; a trial may end after the first stage."""
    sequence = SimpleNamespace(stages=[(0,), (1, 2)], seen=lambda last: [(0,), (0, 1, 2)][last])
    data = SimpleNamespace(of=lambda classes: range(10 if classes == (0,) else 40))
    course = SimpleNamespace(scores=lambda: {"acc": 0.5}, sequence=sequence, data=data)
    work = [100.0, 700.0][:stages]
    found = Naive("2+2")._result(course, work, stages)
    assert found["acquire_flops_per_image"] == acquired
    assert found["train_flops_per_image"] == work[-1] / (10 if stages == 1 else 40)
    assert found["memory_bytes"] == 0.0


def test_without_strength_it_is_naive_training():
    naive = learn(Naive(SCHEDULE))
    for other in (EWC(SCHEDULE, strength=0.0, samples=8), LwF(SCHEDULE, strength=0.0)):
        found = learn(other)
        assert found["val_acc"] == naive["val_acc"]
        assert found["train_flops"] > naive["train_flops"]  # what they measure is counted all the same


def test_distillation_keeps_answers():
    free, held = learn(LwF("2+2", strength=0.0)), learn(LwF("2+2", strength=20.0))
    assert held["forgetting"] < free["forgetting"]


def test_inheriting_networks_learn_the_rest():
    class Twice:
        @nas.hookimpl
        def propose(self, study, count):
            if not study.proposed:
                return [study.proposal(study.space.architecture((4,)))]
            if study.proposed == 1 and study.trials:
                return [study.proposal(study.space.architecture((4,)), weights_of=study.trials[0])]
            return []

    study = nas.search(
        blobs(),
        space=Nets(),
        evaluator=Replay(SCHEDULE, memory=Memory(24), inherit_only=True),
        strategy=Twice(),
        trials=2,
        epochs=6,
    )
    first, second = study.trials
    assert list(first.stages) == ["classes-0"]
    assert first.metrics["val_acc"] == pytest.approx(first.metrics["seen_acc"] / 2)  # half of the classes
    assert list(second.stages) == ["classes-0", "classes-1", "classes-2"]
    assert second.stages["classes-0"]["seen_acc"] == first.metrics["seen_acc"]
    assert second.stages["classes-0"]["train_flops"] == 0
    assert second.metrics["val_acc"] > first.metrics["val_acc"]


def test_classes_come_in_the_order_of_the_seed():
    found = [learn(Naive(SCHEDULE, order=order), epochs=1)["val_acc"] for order in (0, 0, 3)]
    assert found[0] == found[1]
    assert len(np.unique(found)) == 2


@pytest.mark.parametrize(
    ("evaluator", "what"),
    [
        (Naive("3+2"), "has 5 classes, and the task has 4"),
        (Replay(SCHEDULE, memory=Memory(2)), "none for some of the 3 classes"),
    ],
)
def test_mistakes_end_the_run_before_a_training(evaluator, what):
    with pytest.raises(SpecError, match=what):
        nas.search(blobs(), space=Nets(), evaluator=evaluator, trials=3, epochs=1)


def test_classes_without_samples():
    class Few(type(blobs().data)):
        def load(self):
            arrays = super().load()
            keep = arrays.y_train != 2
            return type(arrays)(arrays.x_train[keep], arrays.y_train[keep], arrays.x_val, arrays.y_val)

    with pytest.raises(SpecError, match="no training samples of class 2"):
        nas.search(nas.ImageClassification(Few()), space=Nets(), evaluator=Naive(SCHEDULE), trials=1, epochs=1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Naive("10"),
        lambda: Replay(mix="twice"),
        lambda: EWC(strength=-1.0),
        lambda: EWC(samples=0),
        lambda: LwF(temperature=0.0),
    ],
)
def test_bad_settings(make):
    with pytest.raises(SpecError, match="cgap"):
        make()


def test_no_epochs():
    with pytest.raises(SpecError, match="a stage needs an epoch"):
        nas.search(blobs(), space=Nets(), evaluator=Naive(SCHEDULE), trials=1, epochs=0)
