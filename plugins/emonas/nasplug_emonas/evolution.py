"""One generation of NSGA-II, made of pymoo's operators: mating of a population, and survival of parents and offspring.

Nothing here keeps state, and all randomness comes from the generators that are handed in.

Sources: Deb, Pratap, Agarwal and Meyarivan, "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", IEEE
Transactions on Evolutionary Computation 6(2), 2002; the operators and their settings are those of Lu et al., "NSGA-Net:
Neural Architecture Search using Multi-Objective Genetic Algorithm", GECCO 2019 (arXiv 1810.03522), and its code.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from pymoo.algorithms.moo.nsga2 import binary_tournament
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.mating import Mating
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.operators.crossover.pntx import PointCrossover
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.selection.tournament import TournamentSelection
from pymoo.operators.survival.rank_and_crowding import RankAndCrowding

from nasplug_emonas.settings import Settings

Genes = tuple[int, ...]
#: What is equal for two genotypes that are duplicates of each other.
Key = Callable[[Genes], Hashable]


@dataclass(frozen=True, slots=True)
class Individual:
    """An evaluated architecture as the evolution sees it.

    Attributes:
        genes: Index of the chosen option for every choice of the space.
        objectives: Values to minimise; None if it was rejected for a constraint before it was measured.
        violation: Amount by which it breaks constraints; 0.0 if it keeps them.
        number: Number of its trial.
    """

    genes: Genes
    objectives: tuple[float, ...] | None
    violation: float
    number: int


class Evolution:
    """Mating and survival for one space.

    Args:
        sizes: Number of options of every choice.
        objectives: Number of objectives.
        settings: Sizes and operators.
    """

    def __init__(self, sizes: Sequence[int], objectives: int, settings: Settings) -> None:
        self.settings = settings
        genes = len(sizes)
        # An integer stands for the unit interval around it, so that rounding leaves every option the same room.
        upper = np.nextafter(np.asarray(sizes, dtype=float) - 0.5, 0.0)
        self._problem = Problem(n_var=genes, n_obj=objectives, n_ieq_constr=1, xl=np.full(genes, -0.5), xu=upper)
        self._selection = TournamentSelection(func_comp=binary_tournament)
        self._crossover = PointCrossover(n_points=settings.crossover_points, prob=1.0)
        self._mutation = PM(eta=settings.eta, prob=1.0, prob_var=1.0 / genes)
        self._survival = RankAndCrowding()

    def population(self, individuals: Sequence[Individual]) -> Any:
        """Pymoo's view of evaluated individuals."""
        width = self._problem.n_obj
        worst = (np.inf,) * width  # never compared: the violation of such an individual is above 0
        return Population.new(
            "X",
            np.array([one.genes for one in individuals], dtype=int).reshape(len(individuals), self._problem.n_var),
            "F",
            np.array([one.objectives or worst for one in individuals], dtype=float).reshape(len(individuals), width),
            "G",
            np.array([[one.violation] for one in individuals], dtype=float).reshape(len(individuals), 1),
            "individual",
            np.array([*individuals, None], dtype=object)[:-1],
        )

    def survive(self, population: Any, rng: np.random.Generator) -> Any:
        """Keeps the best: feasible ones by front and crowding distance, then infeasible ones by violation.

        Args:
            population: Parents and offspring; their rank and crowding distance are set.
            rng: Decides between equal crowding distances.
        """
        size = self.settings.population
        return self._survival.do(self._problem, population, n_survive=size, random_state=rng)

    def mate(
        self, population: Any, count: int, rng: np.random.Generator, *, key: Key, taken: Iterable[Hashable] = ()
    ) -> list[Genes]:
        """Children of tournament winners.

        Args:
            population: Population from `survive`; not empty.
            count: Number wanted. There are fewer if 100 rounds of mating do not find enough new ones.
            rng: Generator of all draws.
            key: Function whose equal values mark equal genotypes.
            taken: Keys that no child may have, besides those of the population.
        """
        mating = Mating(
            self._selection,
            self._crossover,
            self._mutation,
            repair=RoundingRepair(),
            eliminate_duplicates=_New(key, set(taken)),
            n_max_iterations=100,
        )
        # Its tournament asks the algorithm around it, of which it needs no more than this.
        around = SimpleNamespace(tournament_type="comp_by_dom_and_crowding", random_state=rng)
        children = mating.do(self._problem, population, count, random_state=rng, algorithm=around)
        return [_genes(child.X) for child in children]


class _New(DuplicateElimination):  # type: ignore[misc]  # pymoo has no types
    """Leaves out children that are already there: in the population, among their siblings, or taken otherwise."""

    def __init__(self, key: Key, taken: set[Hashable]) -> None:
        super().__init__()
        self._key, self._taken = key, taken

    def _do(self, pop: Any, other: Any, is_duplicate: Any) -> Any:
        seen = set(self._taken) if other is None else {self._key(_genes(one.X)) for one in other}
        for index, child in enumerate(pop):
            key = self._key(_genes(child.X))
            if key in seen:
                is_duplicate[index] = True
            elif other is None:
                seen.add(key)
        return is_duplicate


def _genes(values: Any) -> Genes:
    return tuple(int(value) for value in values)
