"""The policies of N2N: they learn what is rewarded, in two stages, and every network keeps to the budget."""

from __future__ import annotations

import pytest
import torch
from nasplug_reduction import ReductionSpace
from nasplug_reduction.policy import LEVELS, Removal, Shrinkage, _learn
from nasplug_reduction.strategies.policy import Policy

import nasplug as nas
from nasplug.contract.errors import SpecError
from nasplug.testing import StrategyConformance


def space(**settings):
    return ReductionSpace("nasplug_reduction.example:small_resnet", "random", inputs=(3, 16, 16), **settings)


class TestPolicy(StrategyConformance):
    trials = 10

    def make_space(self):
        return space()

    def make_strategy(self):
        return Policy(0.3, removal_episodes=1, episodes=3, rollouts=3, final_epochs=1)


@pytest.mark.parametrize("kind", [Removal, Shrinkage])
def test_the_probability_of_drawn_actions_is_that_of_the_same_actions_given(kind):
    torch.manual_seed(0)
    policy, states = kind(3), torch.randn(4, 3)
    taken, log_prob = policy(states, None)
    again, same = policy(states, taken)
    assert torch.equal(taken, again)
    assert torch.allclose(log_prob, same)
    assert taken.max() < (2 if kind is Removal else LEVELS)


def test_a_policy_without_experience_shrinks_every_layer_at_random():
    policy = Shrinkage(3)
    _, log_prob = policy(torch.randn(4, 3), torch.tensor([0, 3, 9, 5]))
    assert log_prob.item() == pytest.approx(4 * torch.tensor(1 / LEVELS).log().item())


@pytest.mark.parametrize("kind", [Removal, Shrinkage])
def test_what_is_rewarded_becomes_likely(kind):
    good, states, history = torch.tensor([1, 0, 1, 1]), torch.eye(4), []
    for episode in range(20):
        torch.manual_seed(1)
        policy = kind(4)
        _learn(policy, states, history, lr=0.03)
        torch.manual_seed(episode)
        drawn = [policy(states, None)[0] for _ in range(8)]
        history.append([{"actions": a.tolist(), "reward": (a == good).float().mean().item()} for a in drawn])
    rewards = [sum(rollout["reward"] for rollout in each) / 8 for each in history]
    assert sum(rewards[-4:]) / 4 > sum(rewards[:4]) / 4 + 0.05


class Narrow:
    """Likes one group wide and the others narrow, and the second block gone."""

    objectives = None

    def __init__(self):
        self.objectives = {"score": "max"}

    @nas.hookimpl
    def evaluate(self, run):
        widths = run.space.widths(run.trial.architecture)
        gone = "4" in run.space.dropped(run.trial.architecture.genotype)
        return nas.Evaluation({"score": 20 + widths.get("3.conv1", 0) - widths["0"] + 5 * gone})


def test_two_stages_within_the_budget():
    strategy = Policy(0.5, removal_episodes=2, episodes=4, rollouts=4, final_epochs=1)
    study = nas.search(space=space(), strategy=strategy, evaluator=Narrow(), trials=200)
    candidates = [trial for trial in study.trials if trial.proposal.info["role"] == "candidate"]
    stages = [trial.proposal.info["stage"] for trial in candidates]
    assert stages == sorted(stages)  # removal, then shrinkage
    limit = 0.5 * study.space.params(study.space.full)
    assert all(study.space.params(trial.architecture) <= limit for trial in candidates)
    (found,) = (trial for trial in study.trials if trial.proposal.info["role"] == "found")
    assert found.metrics["score"] == max(trial.metrics["score"] for trial in candidates)


def test_later_rollouts_are_better():
    strategy = Policy(0.5, removal_episodes=0, episodes=14, rollouts=8, final_epochs=0, lr=0.1)
    study = nas.search(space=space(blocks=False), strategy=strategy, evaluator=Narrow(), trials=300)
    scores = [trial.metrics["score"] for trial in study.trials if trial.proposal.info["role"] == "candidate"]
    assert len(scores) == 112
    assert sum(scores[-32:]) / 32 > sum(scores[:32]) / 32 + 1


@pytest.mark.parametrize("arguments", [{"episodes": 0}, {"rollouts": 0}, {"lr": 0}, {"removal_episodes": -1}])
def test_numbers_are_checked(arguments):
    with pytest.raises(SpecError, match=r"episodes and rollouts must be"):
        Policy(0.5, **arguments)
