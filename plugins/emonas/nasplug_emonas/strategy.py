"""EMONAS as a strategy: NSGA-II on any space of named choices."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, Literal

from nasplug.builtin.ranking import comparable
from nasplug.contract.errors import SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import Json
from nasplug.contract.protocols import HasVector
from nasplug.contract.records import Architecture, Proposal, Trial
from nasplug.ledger.rng import derived_seed
from nasplug.ledger.view import StudyView
from nasplug.plugins.presets import choose
from nasplug_emonas.evolution import Evolution, Genes, Individual
from nasplug_emonas.positions import Positions
from nasplug_emonas.settings import SETTINGS, Distinct, Start

_DRAWS = 100  # random architectures to try for each member of the first generation


@dataclass(frozen=True, slots=True)
class _Child:
    """What is to be measured.

    Attributes:
        architecture: Architecture to measure.
        origin: `random`, `offspring`, or `again` for a member of the first front.
    """

    architecture: Architecture
    origin: str


class EMONAS:
    """Multi-objective evolution: NSGA-II with binary tournament, two-point crossover and polynomial mutation.

    The first generation is drawn from the space's prior, or with `start="spread"` with a density of ones that varies
    from draw to draw: the prior of fair coins makes nearly all networks half dense, and knows no small ones. Parents
    of the following ones win tournaments (the smaller constraint violation, then Pareto dominance, then the larger
    crowding distance); every pair is crossed at two points, and each gene of a child is mutated with probability
    1 / genes. Parents and offspring compete by non-dominated fronts and crowding distance. A generation is proposed
    once the one before it is measured, so that `run.batch` should be at least the number of workers; with
    `offspring=1`, the steady state, nothing is waited for.

    The answer of a search is `study.pareto()`, the best of all trials and not of the last population.

    Ranges of integers are genes like listed options, and a continuous range is searched at 101 values.

    Everything is derived from the trials of the study. Trials that failed or were stopped early never become parents,
    those that break a constraint only while others are worse. Enqueued architectures join the population when they
    are measured. The search ends early if mating finds nothing new any more, in spaces that are nearly used up.

    Source: Feng, "EMONAS-BOO", thesis, KTH 2023, with the operators of NSGA-Net (Lu et al., GECCO 2019).

    Args:
        preset: `thesis` is made for 100 trials, `nsganet_macro` for 1200 and `nsganet_micro` for 620; `steady` is the
            steady state with a spread start, an extension.
        population: Survivors of every generation.
        offspring: Children per generation; 1 is the steady state.
        eta: Distribution index of the polynomial mutation.
        crossover_points: Cuts of the crossover.
        distinct: `genotype`, as in NSGA-Net: a child differs from the population and from its siblings; `network`: it
            builds another network than every trial before it.
        start: `prior` or `spread`, see above.
        reevaluate: Number of proposals of each generation (in the steady state, of every `population` ones) that train
            a member of the first front again with a fresh seed. Survival goes by the means, so that a network that was
            lucky once does not stay for ever.
        max_generations: Ends the search after so many generations; None leaves that to the budget of the run.

    Raises:
        SpecError: A value out of range.
        UnknownNameError: There is no such preset.
    """

    requires = (HasVector,)

    def __init__(
        self,
        preset: Literal["thesis", "steady", "nsganet_macro", "nsganet_micro"] = "thesis",
        population: int | None = None,
        offspring: int | None = None,
        eta: float | None = None,
        crossover_points: int | None = None,
        distinct: Distinct | None = None,
        start: Start | None = None,
        reevaluate: int | None = None,
        max_generations: int | None = None,
    ) -> None:
        if max_generations is not None and max_generations < 1:
            raise SpecError(f"max_generations is {max_generations}", where="emonas", fix="give 1 or more")
        given: dict[str, Any] = {
            "population": population,
            "offspring": offspring,
            "eta": eta,
            "crossover_points": crossover_points,
            "distinct": distinct,
            "start": start,
            "reevaluate": reevaluate,
        }
        changes = {name: value for name, value in given.items() if value is not None}
        self.settings = choose(SETTINGS, preset, changes, where="emonas")
        self.max_generations = max_generations
        self._forget()

    def _forget(self) -> None:
        self._evolution: Evolution | None = None
        self._positions: Positions | None = None
        self._population: Any = None  # survivors, as pymoo keeps them; None before there are any
        self._read = 0
        self._generation = 0
        self._values: dict[Genes, list[tuple[float, ...]]] = {}  # what was measured of each genotype
        self._brood: list[_Child] | None = None  # of the current generation; None until it is asked for
        self._measured: list[Trial] = []  # since the last survival, whoever proposed them
        self._returned = 0  # how many of the brood are measured
        self._keys: set[Hashable] = set()  # that no child may have besides those of the population

    @property
    def generation(self) -> int:
        """How many generations have been measured completely; in the steady state, how many survivals there were."""
        return self._generation

    @property
    def survivors(self) -> list[int]:
        """Numbers of the trials in the population."""
        return [one.number for one in self._members()]

    def _members(self) -> list[Individual]:
        return [] if self._population is None else [one.get("individual") for one in self._population]

    @hookimpl
    def propose(self, study: StudyView, count: int) -> list[Proposal]:
        """The next of the generation, `[]` while its last ones are measured or when nothing new is found."""
        self._catch_up(study)
        if self.settings.offspring == 1:
            return self._steady(study, count)
        if self._brood is None:
            if self._generation == self.max_generations:
                return []
            self._brood = self._breed(study)
        start = self._returned + sum(self._is_own(trial) for trial in study.pending)
        wanted = self._brood[start : start + count]
        return [
            self._proposal(study, child, study.proposed + offset, individual=start + offset)
            for offset, child in enumerate(wanted)
        ]

    @hookimpl
    def observe(self, study: StudyView, trial: Trial) -> None:
        """Takes note; the last trial of a generation ends it."""
        self._catch_up(study)

    def _steady(self, study: StudyView, count: int) -> list[Proposal]:
        """One child at a time, each from the survivors of all that is measured by now."""
        proposals = []
        pending = [trial.architecture for trial in study.pending]
        for index in range(study.proposed, study.proposed + count):
            if self.max_generations is not None and index - self.settings.population >= self.max_generations - 1:
                break
            rng = study.rng("emonas.mate", index)
            taken = self._keys | {self._key(study, architecture) for architecture in pending}
            taken |= {one.genes for one in self._members()}
            young = index < self.settings.population or self._population is None
            again = [] if young or index % self.settings.population >= self.settings.reevaluate else self._elites(1)
            if again:
                proposals.append(self._proposal(study, again[0], index))
                continue
            children = self._random(study, rng, 1, taken) if young else self._children(study, rng, 1, taken)
            if not children:
                break
            pending += children
            proposals.append(self._proposal(study, _Child(children[0], "random" if young else "offspring"), index))
        return proposals

    def _breed(self, study: StudyView) -> list[_Child]:
        rng = study.rng("emonas.mate", self._generation)
        if self._population is None:
            drawn = self._random(study, rng, self.settings.population, self._keys)
            return [_Child(architecture, "random") for architecture in drawn]
        again = self._elites(self.settings.reevaluate)
        born = self._children(study, rng, self.settings.offspring - len(again), self._keys)
        return [*(_Child(architecture, "offspring") for architecture in born), *again]

    def _elites(self, count: int) -> list[_Child]:
        """Members of the first front that were measured least often, in the order of their trials."""
        first = [one.get("individual") for one in self._population if one.get("rank") == 0]
        first = [one for one in first if one.objectives is not None and one.violation == 0.0]
        first.sort(key=lambda one: (len(self._values[one.genes]), one.number))
        assert self._positions is not None  # there is a population
        return [_Child(self._positions.architecture(one.genes), "again") for one in first[:count]]

    def _random(self, study: StudyView, rng: Any, count: int, taken: set[Hashable]) -> list[Architecture]:
        """Different draws from the prior; fewer than wanted in a space that is too small."""
        found: dict[Hashable, Architecture] = {}
        for _ in range(_DRAWS * count):
            architecture = self._genes(study).rounded(study.space.sample(rng))
            if self.settings.start == "spread":
                architecture = self._genes(study).spread(architecture, rng)
            key = self._key(study, architecture)
            if key not in taken:
                found.setdefault(key, architecture)
            if len(found) == count:
                break
        return list(found.values())

    def _children(self, study: StudyView, rng: Any, count: int, taken: set[Hashable]) -> list[Architecture]:
        positions = self._genes(study)

        def key(genes: Genes) -> Hashable:
            return (
                positions.canonical(genes)
                if self.settings.distinct == "genotype"
                else positions.architecture(genes).key
            )

        born = self._machine(study).mate(self._population, count, rng, key=key, taken=taken)
        return [positions.architecture(genes) for genes in born]

    def _key(self, study: StudyView, architecture: Architecture) -> Hashable:
        return self._genes(study).genes(architecture) if self.settings.distinct == "genotype" else architecture.key

    # -- what was measured ---------------------------------------------------------------------------------------

    def _catch_up(self, study: StudyView) -> None:
        """Reads the trials that were finished since the last call; all of them after a resume."""
        for trial in study.trials[self._read :]:
            self._read += 1
            steady, usable = self.settings.offspring == 1, comparable(study, trial)
            own = not steady and self._is_own(trial)
            if own and self._brood is None:  # after a resume; the keys below were not known when it was bred
                self._brood = self._breed(study)
            if usable:
                self._measured.append(trial)
            if self.settings.distinct == "network" or not usable:  # what failed once fails again
                self._keys.add(self._key(study, trial.architecture))
            self._returned += own
            if usable if steady else own and self._returned == len(self._brood or ()):
                self._select(study)
                self._brood, self._returned = None, 0

    def _is_own(self, trial: Trial) -> bool:
        return bool(trial.proposal.info.get("generation") == self._generation)

    def _select(self, study: StudyView) -> None:
        """Survival among the population and what was measured since."""
        machine = self._machine(study)
        everyone = {one.genes: one for one in self._members()}
        for trial in self._measured:
            one = self._individual(study, trial)
            if one.objectives is not None and trial.copied_from is None:
                self._values.setdefault(one.genes, []).append(one.objectives)
            everyone.setdefault(one.genes, one)  # what was measured twice has no second place
        everyone = {genes: self._averaged(one) for genes, one in everyone.items()}
        if everyone:
            merged = machine.population(list(everyone.values()))
            self._population = machine.survive(merged, study.rng("emonas.survive", self._generation))
        self._measured = []
        self._generation += 1

    def _averaged(self, one: Individual) -> Individual:
        """The individual with the means of all that was measured of it."""
        values = self._values.get(one.genes, [])
        if len(values) < 2:
            return one
        return replace(one, objectives=tuple(map(fmean, zip(*values, strict=True))))

    def _machine(self, study: StudyView) -> Evolution:
        if self._evolution is None:
            self._evolution = Evolution(self._genes(study).sizes, len(study.objectives), self.settings)
        return self._evolution

    def _genes(self, study: StudyView) -> Positions:
        if self._positions is None:
            self._positions = Positions(study.space)
        return self._positions

    def _proposal(self, study: StudyView, child: _Child, number: int, individual: int | None = None) -> Proposal:
        seed = derived_seed(study.seed, "emonas.again", number) if child.origin == "again" else None
        info: dict[str, Json] = {"generation": self._generation, "origin": child.origin}
        if individual is not None:
            info["individual"] = individual
        return Proposal(child.architecture, info=info, seed=seed)

    def _individual(self, study: StudyView, trial: Trial) -> Individual:
        values = trial.values
        measured = all(objective.name in values for objective in study.objectives)
        objectives = tuple(-each.sign * values[each.name] for each in study.objectives) if measured else None
        return Individual(
            self._genes(study).genes(trial.architecture), objectives, study.violation(trial), trial.number
        )

    def state_dict(self) -> dict[str, Any]:
        """Empty: the trials of the study say it all."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Reads the study anew at the next proposal."""
        self._forget()
