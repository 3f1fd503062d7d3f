"""The policy that walks through an embedding, and its training by REINFORCE (Williams, 1992)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from nasplug.evaluate.tensors import save_tensors
from nasplug_infonas.isolation import isolated, limited

#: Memory of the policy: hidden and cell state, float (1, hidden) each; None at the beginning of an episode.
Memory = tuple[Tensor, Tensor] | None


class Policy(nn.Module):
    """An LSTM cell that answers, in a point of the embedding, the mean of where to go.

    Args:
        size: Numbers in a vector.
        hidden: Width of the cell.
    """

    def __init__(self, size: int, hidden: int = 128) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(size, hidden)
        self.mean = nn.Linear(hidden, size)

    def forward(self, point: Tensor, memory: Memory) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """One step from points (B, size): the means (B, size) and the memory for the next step."""
        memory = self.cell(point, memory)
        return self.mean(memory[0]), memory


@dataclass(frozen=True, slots=True)
class Walk:
    """An episode of T steps.

    Attributes:
        points: Starting point of each step, (T, size).
        actions: Target point of each step, (T, size).
        advantages: Result of each step minus the baseline, (T,).
    """

    points: Sequence[Sequence[float]]
    actions: Sequence[Sequence[float]]
    advantages: Sequence[float]


def new_policy(seed: int, size: int, lr: float) -> tuple[Policy, torch.optim.Adam]:
    """Returns an untrained policy with its optimiser; equal for equal seeds.

    Args:
        seed: Random seed of the weights.
        size: Numbers in a vector.
        lr: Learning rate of Adam.
    """
    with isolated(seed):
        policy = Policy(size)
    return policy, torch.optim.Adam(policy.parameters(), lr)


def improve(policy: Policy, optimizer: torch.optim.Optimizer, walk: Walk) -> float:
    """One step along the gradient of mean_t (-log N(a_t; m_t, I) / d * (r_t - b)); returns the loss before it.

    Args:
        policy: The policy that walked.
        optimizer: Optimiser of the policy.
        walk: Episode to learn from, with its advantages.
    """
    points, actions = torch.tensor(walk.points), torch.tensor(walk.actions)
    losses, memory = [], None
    with limited():
        for point, action in zip(points, actions, strict=True):
            mean, memory = policy(point[None], memory)
            # Minus the logarithm of the density per dimension, up to a constant.
            losses.append(0.5 * (action - mean[0]).square().mean())
        loss = (torch.stack(losses) * torch.tensor(walk.advantages)).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return float(loss.detach())


def save_policy(path: Path, policy: Policy, optimizer: torch.optim.Adam) -> None:
    """Writes weights and the state of Adam, as safetensors."""
    tensors = {f"policy.{name}": value for name, value in policy.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"adam.{number}.{name}": value for name, value in state.items()}
    save_tensors(path, tensors, what="the policy")


def load_policy(path: Path, lr: float) -> tuple[Policy, torch.optim.Adam]:
    """Reads what `save_policy` wrote.

    Args:
        path: Path of the file.
        lr: Learning rate of Adam.
    """
    tensors = load_file(path)
    weights = {name.removeprefix("policy."): value for name, value in tensors.items() if name.startswith("policy.")}
    size, hidden = weights["mean.weight"].shape
    with torch.random.fork_rng(devices=[]):  # the weights that are drawn here are replaced by those of the file
        policy = Policy(size, hidden)
    policy.load_state_dict(weights)
    optimizer = torch.optim.Adam(policy.parameters(), lr)
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("adam."):
            _, number, field = name.split(".")
            state.setdefault(int(number), {})[field] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return policy, optimizer
