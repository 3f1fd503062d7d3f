"""The policy: a step goes where it pays, and a file continues the training exactly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nasplug_infonas.models.policy import Policy, Walk, improve, load_policy, new_policy, save_policy


@pytest.fixture
def walk():
    rng = np.random.default_rng(0)
    points, actions = rng.standard_normal((2, 4, 3)).astype(np.float32).tolist()
    return Walk(points, actions, [1.0, -1.0, 0.5, -0.5])


def densities(policy, walk):
    """Log density of each action per dimension, up to a constant."""
    memory, logs = None, []
    with torch.no_grad():
        for point, action in zip(torch.tensor(walk.points), torch.tensor(walk.actions), strict=True):
            mean, memory = policy(point[None], memory)
            logs.append(-0.5 * float((action - mean[0]).square().mean()))
    return np.array(logs)


def test_a_step_makes_better_actions_more_likely_than_worse_ones(walk):
    policy, optimizer = new_policy(0, 3, 1e-3)
    before = densities(policy, walk)
    loss = improve(policy, optimizer, walk)
    assert loss == pytest.approx(-np.mean(before * walk.advantages), rel=1e-5)
    assert densities(policy, walk) @ walk.advantages > before @ walk.advantages


def test_a_file_continues_exactly_where_the_training_was(walk, tmp_path):
    policy, optimizer = new_policy(1, 3, 1e-2)
    for _ in range(2):
        improve(policy, optimizer, walk)
    save_policy(tmp_path / "policy.safetensors", policy, optimizer)
    state = torch.get_rng_state()
    again, its_optimizer = load_policy(tmp_path / "policy.safetensors", 1e-2)
    assert torch.equal(torch.get_rng_state(), state)
    improve(policy, optimizer, walk)
    improve(again, its_optimizer, walk)
    for name, value in policy.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])


def test_equal_seeds_are_equal_policies_and_leave_no_trace():
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first, second, other = (new_policy(seed, 3, 0.1)[0].mean.weight for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_shapes():
    mean, (hidden, cell) = Policy(5, 7)(torch.zeros(2, 5), None)
    assert (mean.shape, hidden.shape, cell.shape) == ((2, 5), (2, 7), (2, 7))
