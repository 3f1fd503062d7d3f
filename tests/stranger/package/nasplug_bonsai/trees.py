"""Perceptrons of several branches."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import nasplug as nas

if TYPE_CHECKING:
    from torch import nn

    from nasplug.contract.protocols import Task
    from nasplug.contract.records import Genotype

#: Hidden units of a branch; none leaves it out.
UNITS = (0, 4, 8, 16)


class Trees(nas.ChoiceSpace):
    """Branches side by side, whose outputs are added; their order says nothing.

    Args:
        branches: Number of branches.
    """

    produces = ("vector",)

    def __init__(self, branches: int = 2) -> None:
        trunk = nas.Choice("branch0", UNITS[1:])
        super().__init__("bonsai.trees", [trunk, *(nas.Choice(f"branch{n}", UNITS) for n in range(1, branches))])

    def canonical(self, genotype: tuple[Genotype, ...]) -> Genotype:
        """The branches that are there, by size."""
        return tuple(sorted(int(str(units)) for units in genotype if units))

    def build(self, architecture: nas.Architecture, task: Task) -> nn.Module:
        """Builds the network: any input (N, ...) to numbers (N, outputs)."""
        import torch
        from torch import nn

        class Tree(nn.Module):
            """Branches over the flat input."""

            def __init__(self, sizes: list[int]) -> None:
                super().__init__()
                width = math.prod(task.input_shape)
                self.branches = nn.ModuleList(
                    nn.Sequential(nn.Linear(width, units), nn.ReLU(), nn.Linear(units, task.outputs)) for units in sizes
                )

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                """Adds the branches up."""
                return torch.stack([branch(x.flatten(1)) for branch in self.branches]).sum(0)

        units = self.active(architecture).values()
        return Tree(sorted(int(each) for each in units if each))
