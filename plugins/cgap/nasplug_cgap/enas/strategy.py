"""The strategy `cgap.enas_s`: the genetic algorithm of ENAS-S on any space of named choices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nasplug.contract.errors import SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import Json
from nasplug.contract.protocols import HasVector
from nasplug.contract.records import Architecture, Proposal, Trial

if TYPE_CHECKING:
    from nasplug.ledger.view import StudyView

#: Fitness of an individual that cannot be trained or is not feasible.
HOPELESS = 1e-4
_DRAWS = 50


class ENASS:
    """Generations of individuals that are chosen by fitness, crossed gene by gene and mutated.

    The fitness is the first objective of the search, `stability/fitness` for that of the publication (which the cost
    `stability` measures): accuracy^2 over the drop of accuracy under noise. Source: Du, Li, Sun, Liu, Cao,
    "Evolutionary NAS in Light of Model Stability for Accurate Continual Learning", IJCNN 2021, and the authors' code.

    `faithful` follows the code: parents are drawn in proportion to fitness, with repetition, from the last generation,
    which their children replace as a whole. The default is ours: parents win a tournament of two among the best
    `population` of all generations, so that nothing good is lost and any objective will do, and a child that is not new
    is mutated again.

    Everything is derived from the trials of the study; nothing else is kept.

    Args:
        population: Number of individuals of a generation.
        crossover: Probability that an individual is crossed with another one.
        mutation: Probability that a gene is drawn anew.
        generations: Number of generations; None means as many as the budget has.
        faithful: Whether to follow the authors' code.

    Raises:
        SpecError: A value is out of range.
    """

    requires = (HasVector,)

    def __init__(
        self,
        population: int = 20,
        crossover: float = 0.8,
        mutation: float = 0.05,
        generations: int | None = None,
        faithful: bool = False,
    ) -> None:
        if population < 2 or not 0.0 <= crossover <= 1.0 or not 0.0 <= mutation <= 1.0:
            raise SpecError(
                "population must be >= 2, crossover and mutation probabilities, got "
                f"{population}, {crossover} and {mutation}",
                where="cgap.enas_s",
            )
        if generations is not None and generations < 1:
            raise SpecError(f"generations must be >= 1, got {generations}", where="cgap.enas_s")
        self.population, self.crossover, self.mutation = population, crossover, mutation
        self.generations, self.faithful = generations, faithful
        self._forget()

    def _forget(self) -> None:
        self._read = self._generation = self._returned = 0
        self._brood: list[Architecture] | None = None
        self._measured: list[tuple[float, Architecture]] = []
        self._pool: list[tuple[float, Architecture]] = []
        self._seen: set[str] = set()

    @hookimpl
    def propose(self, study: StudyView, count: int) -> list[Proposal]:
        """The next individuals of the generation, `[]` while its last ones are measured.

        Raises:
            SpecError: The space has a continuous choice.
        """
        self._check(study)
        self._catch_up(study)
        if self._brood is None:
            if self._generation == self.generations:
                return []
            self._brood = self._breed(study)
        start = self._returned + sum(self._is_own(trial) for trial in study.pending)
        return [
            study.proposal(architecture, generation=self._generation, individual=index)
            for index, architecture in enumerate(self._brood[start : start + count], start)
        ]

    @hookimpl
    def observe(self, study: StudyView, trial: Trial) -> None:
        """Takes note; the last individual of a generation ends it."""
        self._catch_up(study)

    def _check(self, study: StudyView) -> None:
        space: Any = study.space
        continuous = [choice.name for choice in space.choices if choice.continuous]
        if continuous:
            raise SpecError(
                f"the choice {continuous[0]!r} is continuous",
                where="cgap.enas_s",
                why="genes are drawn among listed options",
                fix="give its range a step, or list its values",
            )

    def _catch_up(self, study: StudyView) -> None:
        """Reads the trials that were finished since the last call; all of them after a resume."""
        for trial in study.trials[self._read :]:
            self._read += 1
            if not self._is_own(trial):
                continue
            if self._brood is None:
                self._brood = self._breed(study)
            self._returned += 1
            self._seen.add(trial.architecture.key)
            self._measured.append((study.score(trial), study.space.architecture(trial.architecture.genotype)))
            if self._returned == len(self._brood):
                together = self._measured if self.faithful else self._pool + self._measured
                self._pool = sorted(together, key=lambda one: -one[0])[: self.population]
                self._measured, self._brood, self._returned = [], None, 0
                self._generation += 1

    def _is_own(self, trial: Trial) -> bool:
        return trial.proposal.info.get("generation") == self._generation

    def _breed(self, study: StudyView) -> list[Architecture]:
        rng = study.rng("enas_s", self._generation)
        if not self._pool:
            return [study.space.sample(rng) for _ in range(self.population)]
        parents = [self._parent(rng) for _ in range(self.population)]
        taken = set(self._seen)
        children = []
        for parent in parents:
            child = self._child(study, parent, parents, rng)
            for _ in range(0 if self.faithful else _DRAWS):
                if child.key not in taken:
                    break
                child = self._child(study, child, parents, rng)
            taken.add(child.key)
            children.append(child)
        return children

    def _parent(self, rng: np.random.Generator) -> Architecture:
        if not self.faithful:
            first, second = (self._pool[int(rng.integers(len(self._pool)))] for _ in range(2))
            return max(first, second, key=lambda one: one[0])[1]
        fitness = np.array([max(score, HOPELESS) for score, _ in self._pool])
        return self._pool[int(rng.choice(len(self._pool), p=fitness / fitness.sum()))][1]

    def _child(
        self, study: StudyView, parent: Architecture, parents: list[Architecture], rng: np.random.Generator
    ) -> Architecture:
        space: Any = study.space  # its capability is checked before the search starts
        genes = list(space.vector(parent))
        if rng.random() < self.crossover:
            mate = space.vector(parents[int(rng.integers(len(parents)))])
            genes = [other if rng.random() < 0.5 else own for own, other in zip(genes, mate, strict=True)]
        for position, choice in enumerate(space.choices):
            if rng.random() < self.mutation:
                options = choice.options if isinstance(choice.options, tuple) else tuple(choice.options)
                genes[position] = int(rng.integers(len(options)))
        child: Architecture = space.from_vector(genes)
        return child

    def state_dict(self) -> dict[str, Json]:
        """Empty: the trials of the study say it all."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Reads the study anew at the next proposal."""
        self._forget()
