"""Random search."""

from __future__ import annotations

from typing import Any

from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import Json
from nasplug.contract.records import Proposal
from nasplug.ledger.view import StudyView


class RandomSearch:
    """Draws every architecture from the space's prior; the baseline of every comparison.

    Args:
        distinct: Draw again, up to `attempts` times, when the architecture was proposed before.
        attempts: Number of further draws before a repetition is accepted, as in a space that is used up.
    """

    def __init__(self, distinct: bool = True, attempts: int = 20) -> None:
        self.distinct, self.attempts = distinct, attempts
        self._seen: set[str] = set()

    @hookimpl
    def propose(self, study: StudyView, count: int) -> list[Proposal]:
        """Draws `count` architectures, each from a stream of its own."""
        return [self._draw(study, study.proposed + offset) for offset in range(count)]

    def _draw(self, study: StudyView, number: int) -> Proposal:
        rng = study.rng("random.propose", number)
        architecture = study.space.sample(rng)
        if self.distinct:
            for _ in range(self.attempts):
                if architecture.key not in self._seen:
                    break
                architecture = study.space.sample(rng)
            self._seen.add(architecture.key)
        return Proposal(architecture)

    def state_dict(self) -> dict[str, Json]:
        """What was proposed, sorted."""
        return {"seen": sorted(self._seen)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores `state_dict`."""
        self._seen = set(state["seen"])
