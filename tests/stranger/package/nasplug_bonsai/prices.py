"""A cost and a target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import nasplug as nas
from nasplug.contract.errors import UnknownNameError

if TYPE_CHECKING:
    from nasplug.cost.candidate import Candidate


class Leaves:
    """Hidden units of all branches, read off the network."""

    @nas.hookimpl
    def cost(self, candidate: Candidate, target: object) -> dict[str, float]:
        """Counts outputs of all linear layers but the last of each branch."""
        from torch import nn

        layers = [module for module in candidate.network.modules() if isinstance(module, nn.Linear)]
        return {"leaves": float(sum(layer.out_features for layer in layers[::2]))}


@dataclass(frozen=True)
class Pot:
    """A chip of a stated speed."""

    name: str
    megamacs: float

    @property
    def capabilities(self) -> dict[str, Any]:
        """Facts about the chip."""
        return {"measured": False, "megamacs": self.megamacs}

    def estimate(self, candidate: Candidate) -> dict[str, float]:
        """Seconds for one input."""
        return {"latency_s": float(candidate.workload.macs.sum()) / (self.megamacs * 1e6)}


class Pots:
    """Finds chips by their speed."""

    @nas.hookimpl
    def hardware_target(self, name: str) -> Pot | None:
        """Answers names such as `pot:50`."""
        family, _, speed = name.partition(":")
        if family != "pot":
            return None
        if not speed.isdigit() or int(speed) == 0:
            raise UnknownNameError(
                f"{speed!r} is not a speed", where="pot", fix="write pot:50 for 50 million per second"
            )
        return Pot(name, float(speed))
