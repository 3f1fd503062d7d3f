"""NSGA-II."""

from __future__ import annotations

from typing import Any

import numpy as np

from nasplug.builtin.ranking import best_first, comparable
from nasplug.contract.errors import SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import Json
from nasplug.contract.protocols import Crosses, Mutates
from nasplug.contract.records import Architecture, Proposal, Trial
from nasplug.ledger.view import StudyView

#: Key of `proposal.info`: the generation, of which 0 is random.
GENERATION = "generation"


class Nsga2:
    """Genetic algorithm by non-dominated sorting and crowding, generation by generation.

    Source: Deb, Pratap, Agarwal and Meyarivan, "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", IEEE
    Transactions on Evolutionary Computation 6, 2002: parents by binary tournaments, the best `population_size` of
    parents and children survive, feasible ones before infeasible ones. With one objective it is a genetic algorithm
    with elitism.

    A generation is finished before the next one is proposed, so that workers wait at its end; failed and pruned trials
    count as its members and never survive. Trials that were enqueued compete with the first generation. Crossover and
    mutation are those of the space: a child mixes two parents decision by decision, and then changes in one decision.

    Args:
        population_size: Survivors of a generation, and children of each.
        crossover: Probability that a child has two parents instead of one; above 0 the space must cross.
        mutation: Probability that a child of two parents is mutated, 0.6 by default, which is about the chance that one
            decision or more changes if each of n does with probability 1/n; a child of one parent always is.
        distinct: Mutate again, up to `attempts` times, when the child was proposed before.
        attempts: Number of tries before a repetition is accepted.

    Raises:
        SpecError: Fewer than two members, or a probability outside [0, 1].
    """

    def __init__(
        self,
        population_size: int = 20,
        crossover: float = 0.9,
        mutation: float = 0.6,
        distinct: bool = True,
        attempts: int = 20,
    ) -> None:
        if population_size < 2:
            raise SpecError(f"expected a population of two or more, got {population_size}", where="nsga2")
        for name, value in (("crossover", crossover), ("mutation", mutation)):
            if not 0.0 <= value <= 1.0:
                raise SpecError(f"{name} must be a probability, got {value}", where="nsga2")
        self.population_size, self.crossover, self.mutation = population_size, crossover, mutation
        self.distinct, self.attempts = distinct, attempts
        self.requires: tuple[type, ...] = (Mutates, Crosses) if crossover > 0 else (Mutates,)
        self._read = 0
        self._generations: list[list[Trial]] = []
        self._parents: list[list[Trial]] = []

    @hookimpl
    def propose(self, study: StudyView, count: int) -> list[Proposal]:
        """Random architectures for the first generation, then children of the survivors."""
        self._catch_up(study)
        finished = [len(members) for members in self._generations]
        waiting = [number for trial in study.pending if (number := _generation(trial)) is not None]
        generation = max([0, *waiting, *(k for k, size in enumerate(finished) if size)])
        started = (finished[generation] if generation < len(finished) else 0) + waiting.count(generation)
        if started >= self.population_size:
            if study.pending:
                return []
            generation, started = generation + 1, 0
        seen = {trial.architecture.key for trial in (*study.trials, *study.pending)}
        proposals = []
        for offset in range(min(count, self.population_size - started)):
            rng = study.rng("nsga2.propose", study.proposed + offset)
            proposal = self._proposal(study, generation, rng, seen)
            seen.add(proposal.architecture.key)
            proposals.append(proposal)
        return proposals

    def _catch_up(self, study: StudyView) -> None:
        """Reads the trials that were finished since the last call; all of them after a resume."""
        for trial in study.trials[self._read :]:
            generation = _generation(trial) or 0
            while len(self._generations) <= generation:
                self._generations.append([])
            # Enqueued trials are not members: the first generation has its own number of random ones.
            if _generation(trial) is not None:
                self._generations[generation].append(trial)
        self._read = len(study.trials)

    def _survivors(self, study: StudyView, generation: int) -> list[Trial]:
        """The parents of a generation, the best first; the generations before it are finished."""
        while len(self._parents) < generation:
            index = len(self._parents)
            before = self._parents[-1] if self._parents else [t for t in study.trials if _generation(t) is None]
            able = [trial for trial in (*before, *self._generations[index]) if comparable(study, trial)]
            self._parents.append(best_first(study, able)[: self.population_size])
        return self._parents[generation - 1]

    def _proposal(self, study: StudyView, generation: int, rng: np.random.Generator, seen: set[str]) -> Proposal:
        survivors = self._survivors(study, generation) if generation else []
        if not survivors:  # also when all have failed so far
            parents: list[Trial] = []
            found = study.space.sample(rng)
        else:
            parents = [_tournament(survivors, rng)]
            if self.crossover > 0 and rng.random() < self.crossover:
                parents.append(_tournament(survivors, rng))
            found = self._child(study, parents, rng)
        for _ in range(self.attempts if self.distinct else 0):
            if found.key not in seen:
                break
            space: Any = study.space
            found = space.mutate(found, rng) if parents else space.sample(rng)
        numbers: list[Json] = [parent.number for parent in parents]
        return study.proposal(found, generation=generation, parents=numbers)

    def _child(self, study: StudyView, parents: list[Trial], rng: np.random.Generator) -> Architecture:
        space: Any = study.space  # its capabilities are checked against `requires` before the search starts
        child: Architecture = parents[0].architecture
        if len(parents) == 2:
            child = space.cross(child, parents[1].architecture, rng)
            if rng.random() >= self.mutation:
                return child
        mutated: Architecture = space.mutate(child, rng)
        return mutated


def _tournament(ordered: list[Trial], rng: np.random.Generator) -> Trial:
    """The better of two random members of a population that is sorted from best to worst."""
    return ordered[min(int(rng.integers(len(ordered))), int(rng.integers(len(ordered))))]


def _generation(trial: Trial) -> int | None:
    """Generation of a trial that was proposed here, None for trials of others."""
    found = trial.proposal.info.get(GENERATION)
    return found if isinstance(found, int) else None
