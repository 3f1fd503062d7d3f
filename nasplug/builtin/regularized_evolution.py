"""Regularized (aging) evolution."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from nasplug.builtin.ranking import comparable, fronts
from nasplug.contract.errors import SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import Json
from nasplug.contract.protocols import Crosses, Mutates
from nasplug.contract.records import Architecture, Proposal, Trial
from nasplug.ledger.view import StudyView


class RegularizedEvolution:
    """Aging evolution: the winner of a tournament is mutated, and the oldest member leaves the population.

    Source: Real, Aggarwal, Huang, Le, "Regularized Evolution for Image Classifier Architecture Search", AAAI 2019,
    algorithm 1. The paper keeps 100 members and draws 25 for searches of 20 000 trainings; the defaults here keep the
    share of a quarter and scale both to searches of some hundred, which would else be mostly random beginning.

    The population is the last `population_size` finished trials that can be compared: trials that failed or were
    stopped early never become parents. Infeasible members are parents only while there is no feasible one, the
    smaller violation winning, so that a search which starts outside the constraints walks into them. With several
    objectives the winner lies in the best non-dominated front, and inside a front where it is least crowded.

    Everything is derived from the trials of the study; nothing else is kept.

    Args:
        population_size: Members of the population, and number of random architectures at the start.
        tournament_size: Members drawn, without repetition, to find one parent.
        crossover: Probability that a child mixes two parents before it is mutated; above 0 the space must cross.
        distinct: Mutate again, up to `attempts` times, when the child was proposed before.
        attempts: Number of tries before a repetition is accepted.

    Raises:
        SpecError: A tournament larger than the population, or a probability outside [0, 1].
    """

    def __init__(
        self,
        population_size: int = 32,
        tournament_size: int = 8,
        crossover: float = 0.0,
        distinct: bool = True,
        attempts: int = 20,
    ) -> None:
        if not 1 <= tournament_size <= population_size:
            raise SpecError(
                f"a tournament of {tournament_size} cannot be drawn from a population of {population_size}",
                where="regularized_evolution",
                fix="give 1 <= tournament_size <= population_size",
            )
        if not 0.0 <= crossover <= 1.0:
            raise SpecError(f"crossover must be a probability, got {crossover}", where="regularized_evolution")
        self.population_size, self.tournament_size = population_size, tournament_size
        self.crossover, self.distinct, self.attempts = crossover, distinct, attempts
        self.requires: tuple[type, ...] = (Mutates, Crosses) if crossover > 0 else (Mutates,)
        self._forget()

    def _forget(self) -> None:
        self._read = 0
        self._seen: set[str] = set()
        self._population: deque[Trial] = deque(maxlen=self.population_size)

    @hookimpl
    def propose(self, study: StudyView, count: int) -> list[Proposal]:
        """Random architectures until the population can be full, then children of tournament winners."""
        self._catch_up(study)
        seen = self._seen | {trial.architecture.key for trial in study.pending}
        young = len(self._population) + len(study.pending)
        proposals = []
        for offset in range(count):
            rng = study.rng("regularized_evolution.propose", study.proposed + offset)
            grown = self._population and young + offset >= self.population_size
            proposal = self._child(study, rng, seen) if grown else self._random(study, rng, seen)
            seen.add(proposal.architecture.key)
            proposals.append(proposal)
        return proposals

    def _catch_up(self, study: StudyView) -> None:
        """Reads the trials that were finished since the last call; all of them after a resume."""
        for trial in study.trials[self._read :]:
            self._seen.add(trial.architecture.key)
            if comparable(study, trial):
                self._population.append(trial)
        self._read = len(study.trials)

    def _random(self, study: StudyView, rng: np.random.Generator, seen: set[str]) -> Proposal:
        architecture = study.space.sample(rng)
        for _ in range(self.attempts if self.distinct else 0):
            if architecture.key not in seen:
                break
            architecture = study.space.sample(rng)
        return study.proposal(architecture, origin="random")

    def _child(self, study: StudyView, rng: np.random.Generator, seen: set[str]) -> Proposal:
        parents = [self._tournament(study, rng)]
        if self.crossover > 0 and rng.random() < self.crossover:
            parents.append(self._tournament(study, rng))
        child = self._vary(study, parents, rng)
        for _ in range(self.attempts if self.distinct else 0):
            if child.key not in seen:
                break
            child = self._vary(study, parents, rng)
        return study.proposal(child, origin="mutation" if len(parents) == 1 else "crossover", parents=_numbers(parents))

    def _vary(self, study: StudyView, parents: list[Trial], rng: np.random.Generator) -> Architecture:
        space: Any = study.space  # its capabilities are checked against `requires` before the search starts
        start = parents[0].architecture
        if len(parents) == 2:
            start = space.cross(start, parents[1].architecture, rng)
        child: Architecture = space.mutate(start, rng)
        return child

    def _tournament(self, study: StudyView, rng: np.random.Generator) -> Trial:
        feasible = [trial for trial in self._population if study.is_candidate(trial)]
        pool = feasible or list(self._population)
        drawn: list[int] = rng.choice(len(pool), min(self.tournament_size, len(pool)), replace=False).tolist()
        if not feasible:
            return pool[min(drawn, key=lambda i: study.violation(pool[i]))]
        if len(study.objectives) == 1:
            return pool[max(drawn, key=lambda i: study.score(pool[i]))]
        # Front and crowding inside the whole population: inside a sample this small nearly all would be ends.
        ranks, crowding = fronts(study, pool)
        return pool[min(drawn, key=lambda i: (ranks[i], -crowding[i]))]

    def state_dict(self) -> dict[str, Json]:
        """Empty: the trials of the study say it all."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Reads the study anew at the next proposal."""
        self._forget()


def _numbers(trials: list[Trial]) -> list[int]:
    return [trial.number for trial in trials]
