"""Policies that decide which blocks stay and how wide layers are, and the work that trains them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from nasplug.contract.jsondata import Json
from nasplug_reduction.breeding import fitting
from nasplug_reduction.planning import reduction_of
from nasplug_reduction.pricing import Pricer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nasplug.evaluate.workrun import WorkRun
    from nasplug_reduction.space import ReductionSpace

#: Shares of its width that a layer may be given.
LEVELS = 10
Stage = Literal["removal", "shrinkage"]

_HIDDEN = 24
#: Spread of rewards below which an episode says little.
_LEAST_SPREAD = 1e-3
#: Part of the baseline that is left after every episode.
_DECAY = 0.9


class Removal(nn.Module):
    """A bidirectional LSTM that says of every block whether it stays.

    Args:
        features: Number of figures of a block.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, _HIDDEN, bidirectional=True)
        self.head = nn.Linear(2 * _HIDDEN, 2)
        nn.init.zeros_(self.head.weight)
        with torch.no_grad():
            self.head.bias.copy_(torch.tensor([-1.0, 1.0]))  # most blocks stay at first

    def forward(self, states: Tensor, actions: Tensor | None) -> tuple[Tensor, Tensor]:
        """Draws actions, or takes given ones.

        Args:
            states: Figures of the blocks (blocks, features).
            actions: 0 (drop) or 1 (keep) of every block (blocks,); None draws them.

        Returns:
            Actions (blocks,), and the logarithm of their probability ().
        """
        hidden, _ = self.lstm(states)
        return _drawn(self.head(hidden), actions)


class Shrinkage(nn.Module):
    """An LSTM that gives every layer a share of its width, knowing the share of the layer before.

    Args:
        features: Number of figures of a layer.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(features + LEVELS, _HIDDEN)
        self.head = nn.Linear(_HIDDEN, LEVELS)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, states: Tensor, actions: Tensor | None) -> tuple[Tensor, Tensor]:
        """Draws actions, or takes given ones.

        Args:
            states: Figures of the layers (layers, features).
            actions: Level of every layer (layers,), 0 the narrowest; None draws them.

        Returns:
            Actions (layers,), and the logarithm of their probability ().
        """
        memory = (states.new_zeros(_HIDDEN), states.new_zeros(_HIDDEN))
        before, log_prob, taken = states.new_zeros(LEVELS), states.new_zeros(()), []
        for index, state in enumerate(states):
            memory = self.cell(torch.cat([state, before]), memory)
            one = None if actions is None else actions[index : index + 1]
            drawn, probability = _drawn(self.head(memory[0])[None], one)
            action, log_prob = drawn[0], log_prob + probability
            before = nn.functional.one_hot(action, LEVELS).to(states)
            taken.append(action)
        return torch.stack(taken), log_prob


def _drawn(logits: Tensor, actions: Tensor | None) -> tuple[Tensor, Tensor]:
    """Draws one action per row of logits (rows, actions), or takes given ones; the logarithm of their probability."""
    log_probs = logits.log_softmax(-1)
    taken = torch.multinomial(log_probs.exp(), 1)[:, 0] if actions is None else actions
    return taken, log_probs.gather(1, taken[:, None]).sum()


def roll(
    run: WorkRun,
    stage: Stage,
    history: Sequence[Sequence[Mapping[str, Any]]],
    kept: Sequence[int],
    limits: Mapping[str, float],
    count: int,
    lr: float,
) -> list[Json]:
    """Trains a policy on all episodes so far, and draws the next one.

    Source of the update: Williams, "Simple statistical gradient-following algorithms for connectionist reinforcement
    learning" (REINFORCE), 1992, with a moving average of the rewards as the baseline;
    what is above it counts in standard deviations of the episode.

    Args:
        run: The work.
        stage: Stage, `removal` of blocks or `shrinkage` of layers.
        history: Actions and reward of every rollout, by episode.
        kept: Indices of the options of all choices that are not widths, the blocks first.
        limits: Limits by cost.
        count: Number of rollouts.
        lr: Learning rate of Adam.

    Returns:
        Actions and vector of every rollout; the vector is None where no network of the budget can be made of them.
    """
    space = reduction_of(run.space)
    states = _blocks(space) if stage == "removal" else _layers(space)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.study.seed)
        policy = Removal(states.shape[1]) if stage == "removal" else Shrinkage(states.shape[1])
        _learn(policy, states, history, lr)
        torch.manual_seed(run.seed("policy"))
        with torch.no_grad():
            drawn = [policy(states, None)[0].tolist() for _ in range(count)]
    pricer = Pricer(space, run.target, limits)
    found: list[Json] = []
    for index, actions in enumerate(drawn):
        run.progress(index / count)
        shares = np.ones(len(space.groups)) if stage == "removal" else (np.array(actions) + 1) / LEVELS
        others = [*actions, *kept[len(actions) :]] if stage == "removal" else kept
        network = fitting(pricer, limits, shares, others)
        vector = None if network is None else list(space.vector(network))
        found.append({"actions": actions, "vector": cast("Json", vector)})
    return found


def _learn(policy: nn.Module, states: Tensor, history: Sequence[Sequence[Mapping[str, Any]]], lr: float) -> None:
    """Repeats one step of the policy gradient for every episode."""
    optimizer, baseline = torch.optim.Adam(policy.parameters(), lr), None
    for episode in history:
        rewards = [float(rollout["reward"]) for rollout in episode]
        mean = sum(rewards) / len(rewards)
        baseline = mean if baseline is None else _DECAY * baseline + (1 - _DECAY) * mean
        spread = max(statistics.pstdev(rewards), _LEAST_SPREAD)
        loss = torch.stack(
            [
                (baseline - reward) / spread * policy(states, torch.tensor(rollout["actions"]))[1]
                for rollout, reward in zip(episode, rewards, strict=True)
            ]
        ).mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()


def _layers(space: ReductionSpace) -> Tensor:
    """Position, width and share of the parameters of every layer whose width is decided."""
    whole = space.params(space.full)
    rows = []
    for index, name in enumerate(space.groups):
        size = space.layout.groups[name].size
        touched = whole - space.layout.params({name: 0})
        rows.append([index / len(space.groups), float(np.log2(size)) / 10, touched / whole])
    return torch.tensor(rows, dtype=torch.float32)


def _blocks(space: ReductionSpace) -> Tensor:
    """Position and share of the parameters of every block."""
    whole = space.params(space.full)
    rows = [
        [index / len(space.blocks), (whole - space.layout.params({}, (path,))) / whole]
        for index, path in enumerate(space.blocks)
    ]
    return torch.tensor(rows, dtype=torch.float32)
