"""Local search: neighbours of the best architecture, until none of them is better, and then from the start again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nasplug.builtin.ranking import comparable
from nasplug.builtin.unseen import unseen
from nasplug.contract.errors import SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import Json
from nasplug.contract.protocols import Mutates
from nasplug.contract.records import Architecture, Proposal, Trial
from nasplug.ledger.view import StudyView


@dataclass
class _Climb:
    """One walk uphill.

    Attributes:
        begun: Number of random architectures that it began with, running ones included.
        top: The best trial so far.
        tried: Number of neighbours of the top that were proposed and are not better.
    """

    begun: int = 0
    top: Trial | None = None
    tried: dict[int, int] = field(default_factory=dict)


class LocalSearch:
    """Climbs by single changes: each neighbour that is better becomes the place to look around.

    A climb begins at the best of `starts` random architectures. Where `neighbours` neighbours of a place have been
    tried and none is better, or no unseen one is found, the climb has ended and another one begins. With several
    objectives the first one is climbed; a smaller violation of constraints is better than any value.

    Source: White, Nolen, Savani, "Exploring the Loss Landscape in Neural Architecture Search", UAI 2021, which finds
    local search level with far more complex methods; there, all neighbours of a place are evaluated. As spaces here
    give neighbours at random, `neighbours` bounds how many are tried.

    Everything is derived from the trials of the study; nothing else is kept.

    Args:
        starts: Random architectures at the start of a climb.
        neighbours: Number of neighbours tried without a gain after which a climb has ended.
        attempts: Number of draws to find a neighbour that was not proposed before.

    Raises:
        SpecError: A number below 1.
    """

    requires: tuple[type, ...] = (Mutates,)

    def __init__(self, starts: int = 10, neighbours: int = 40, attempts: int = 40) -> None:
        for name, value in (("starts", starts), ("neighbours", neighbours), ("attempts", attempts)):
            if value < 1:
                raise SpecError(f"{name} is {value}", where="local_search", fix="give 1 or more")
        self.starts, self.neighbours, self.attempts = starts, neighbours, attempts

    @hookimpl
    def propose(self, study: StudyView, count: int) -> list[Proposal]:
        """Random architectures at the start of a climb, then neighbours of its best one."""
        seen = {trial.architecture.key for trial in (*study.trials, *study.pending)}
        number, climb = self._climb(study)
        proposals = []
        for offset in range(count):
            rng = study.rng("local_search.propose", study.proposed + offset)
            place = climb.top if climb.begun >= self.starts else None
            found = None if place is None else self._neighbour(study, climb, place, seen, rng)
            if found is not None and place is not None:
                climb.tried[place.number] = climb.tried.get(place.number, 0) + 1
                proposal = study.proposal(found, origin="neighbour", climb=number, parents=[place.number])
            else:
                if place is not None:
                    number, climb = number + 1, _Climb()
                climb.begun += 1
                proposal = study.proposal(unseen(study.space, seen, rng, self.attempts), origin="random", climb=number)
            seen.add(proposal.architecture.key)
            proposals.append(proposal)
        return proposals

    def _climb(self, study: StudyView) -> tuple[int, _Climb]:
        """Number and state of the last climb."""
        known, running = list(study.trials), list(study.pending)
        number = max((_climb_of(trial) for trial in known + running), default=0)
        number, climb = max(0, number), _Climb()
        for place, trial in enumerate(known + running):
            if _climb_of(trial) != number:
                continue
            parents = trial.proposal.info.get("parents")
            if isinstance(parents, (list, tuple)) and parents and isinstance(parents[0], int):
                climb.tried[parents[0]] = climb.tried.get(parents[0], 0) + 1
            else:
                climb.begun += 1
            if place < len(known) and comparable(study, trial) and _better(study, trial, climb.top):
                climb.top = trial
        return number, climb

    def _neighbour(
        self, study: StudyView, climb: _Climb, place: Trial, seen: set[str], rng: np.random.Generator
    ) -> Architecture | None:
        """A neighbour that was not proposed before; None where the climb has ended."""
        if climb.tried.get(place.number, 0) >= self.neighbours:
            return None
        space: Any = study.space  # its capabilities are checked against `requires` before the search starts
        for _ in range(self.attempts):
            found: Architecture = space.mutate(place.architecture, rng)
            if found.key not in seen:
                return found
        return None

    def state_dict(self) -> dict[str, Json]:
        """Empty: the trials of the study say it all."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Has nothing to restore."""


def _climb_of(trial: Trial) -> int:
    climb = trial.proposal.info.get("climb")
    return climb if isinstance(climb, int) else -1


def _better(study: StudyView, trial: Trial, other: Trial | None) -> bool:
    if other is None:
        return True
    return (-study.violation(trial), study.score(trial)) > (-study.violation(other), study.score(other))
