"""The stack of running modules, shared ones and errors included."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nasplug.cost.running import RunningModules


class Failing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("never")


class Outer(nn.Module):
    """Catches the error of a module, and calls another one of two names."""

    def __init__(self, seen: list[str], running: RunningModules) -> None:
        super().__init__()
        self.failing, self.inner = Failing(), nn.Sequential(nn.Identity())
        self.alias = self.inner
        self.seen, self.running = seen, running

    def forward(self, x: Tensor) -> Tensor:
        try:
            x = self.failing(x)
        except RuntimeError:
            self.seen.append(f"after the error: {self.running.path!r}, {len(list(self.running))}")
        return self.alias(x)


def test_the_path_is_that_of_the_innermost_module_also_after_an_error():
    running, seen = RunningModules(), []
    network = Outer(seen, running)
    with running.watching(
        network,
        lambda path, module: seen.append(f"+{path} {running.path == path}"),
        lambda path, module, args, kwargs, result: seen.append(f"-{path} {running.path == path} {result is None}"),
    ):
        network(torch.ones(1))
    assert seen == [
        "+ True",
        "+failing True",
        "-failing True True",
        "after the error: '', 1",
        "+inner True",
        "+inner.0 True",
        "-inner.0 True False",
        "-inner True False",
        "- True False",
    ]
    network(torch.ones(1))  # nothing is watched any more
    assert seen[-1] == "after the error: '', 0"
    assert len(seen) == 10


def test_a_run_that_ends_with_an_error_leaves_nothing():
    running = RunningModules()
    network = nn.Sequential(nn.Identity(), Failing())
    try:
        with running.watching(network):
            network(torch.ones(1))
    except RuntimeError:
        pass
    assert running.path == ""
    assert list(running) == []
    assert not network._forward_hooks
