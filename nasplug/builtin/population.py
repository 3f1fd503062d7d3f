"""Population-based training: members that fall behind take over the weights of better ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nasplug.builtin.ranking import best_first, comparable
from nasplug.contract.errors import SpecError
from nasplug.contract.grammar import DomainLike, divide
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import Json
from nasplug.contract.protocols import Mutates
from nasplug.contract.ranges import Categorical, Domain
from nasplug.contract.records import Architecture, Budget, Inherit, Proposal, Scalar, Trial
from nasplug.ledger.view import StudyView

#: Keys of `proposal.info`: the population, the member of it, and how many steps it has trained with this one.
POPULATION, MEMBER, STEP = "population", "member", "step"


@dataclass
class _Member:
    """One place of the population.

    Attributes:
        steps: Number of steps that were proposed for it.
        running: Whether the last of them is not observed yet.
        last: The last trial that was observed.
    """

    steps: int = 0
    running: bool = False
    last: Trial | None = field(default=None)


class PopulationBased:
    """Trains a population step by step; after each step, members among the worst start from weights of the best.

    Such a member takes the architecture, the weights and the hyperparameters of a random one of the best, and changes
    them (exploit and explore): a number by a factor of 0.8 or 1.2, an option to another one, or any of them to a fresh
    draw; and, with the probability `mutation`, one decision of the architecture, whose network then inherits what
    fits (`build: [inherit.overlap]`; without it only weights that fit exactly). All others train on.

    Source: Jaderberg et al., "Population Based Training of Neural Networks", arXiv 1711.09846, with truncation
    selection; the mutation of architectures on inherited weights is that of evolution with inheritance (Real et al.,
    "Large-Scale Evolution of Image Classifiers", ICML 2017).

    Every step is a trial of its own, so that `budget.trials` counts steps. When all members have trained for
    `max_epochs`, another population begins. Everything is derived from the trials of the study.

    Args:
        population_size: Number of members.
        step: Epochs of one step.
        max_epochs: Epochs of a member over all its steps; default: the epochs of the run.
        share: Share of the population that counts as the worst, and as the best.
        hyperparameters: Hyperparameters of the training by name: a range or choices (docs/ranges.md), or a fixed value.
        resample: Probability that a hyperparameter is drawn anew instead of changed.
        mutation: Probability that the architecture is changed.

    Raises:
        SpecError: A number out of range, or nothing that could be changed.
    """

    keeps_checkpoints = True

    def __init__(
        self,
        population_size: int = 10,
        step: int = 1,
        max_epochs: int | None = None,
        share: float = 0.2,
        hyperparameters: Mapping[str, DomainLike] | None = None,
        resample: float = 0.25,
        mutation: float = 0.0,
    ) -> None:
        if population_size < 2 or step < 1 or (max_epochs is not None and max_epochs < step):
            raise SpecError(
                f"expected two members or more and steps of 1 to max_epochs, got {population_size=}, {step=} and "
                f"{max_epochs=}",
                where="population",
            )
        for name, value, top in (("share", share, 0.5), ("resample", resample, 1.0), ("mutation", mutation, 1.0)):
            if not 0.0 <= value <= top:
                raise SpecError(f"{name} must lie in [0, {top:g}], got {value}", where="population")
        self._tuned, self._fixed = divide(hyperparameters or {}, where="population.hyperparameters")
        if not self._tuned and mutation == 0.0:
            raise SpecError(
                "nothing could be changed, so that members that fall behind become copies",
                where="population",
                fix="give hyperparameters with ranges or choices, or a mutation above 0",
            )
        self.population_size, self.step, self.max_epochs = population_size, step, max_epochs
        self.share, self.resample, self.mutation = share, resample, mutation
        self.requires: tuple[type, ...] = (Mutates,) if mutation > 0.0 else ()
        self.hyperparameters: tuple[str, ...] = tuple(sorted([*self._tuned, *self._fixed]))

    @hookimpl
    def propose(self, study: StudyView, count: int) -> list[Proposal]:
        """The next step of whoever has trained least and is not training."""
        whole = self.max_epochs or study.budget.epochs
        steps = max(1, -(-whole // self.step))
        number = max((_fact(t, POPULATION, 0) for t in (*study.trials, *study.pending)), default=0)
        members = self._members(study, number)
        proposals: list[Proposal] = []
        for offset in range(count):
            if all(member.steps >= steps for member in members):
                if any(member.running for member in members):
                    break  # the last steps of this population
                number, members = number + 1, [_Member() for _ in range(self.population_size)]
            ready = [place for place, member in enumerate(members) if not member.running and member.steps < steps]
            if not ready:
                break
            place = min(ready, key=lambda each: (members[each].steps, each))
            rng = study.rng("population.propose", study.proposed + offset)
            proposals.append(self._next(study, members, place, number, whole, rng))
            members[place].steps, members[place].running = members[place].steps + 1, True
        return proposals

    def _members(self, study: StudyView, number: int) -> list[_Member]:
        """The population of that number as far as it is known."""
        members = [_Member() for _ in range(self.population_size)]
        known = len(study.trials)
        for place, trial in enumerate((*study.trials, *study.pending)):
            if _fact(trial, POPULATION, -1) != number:
                continue
            member = members[_fact(trial, MEMBER, 0)]
            member.steps, member.running = _fact(trial, STEP, 0), place >= known
            if place < known:
                member.last = trial
        return members

    def _next(
        self,
        study: StudyView,
        members: list[_Member],
        place: int,
        number: int,
        whole: int,
        rng: np.random.Generator,
    ) -> Proposal:
        last = members[place].last
        done = members[place].steps
        info: dict[str, Json] = {POPULATION: number, MEMBER: place, STEP: done + 1}
        left = whole - done * self.step
        epochs = min(self.step, left)
        known = [member.last for member in members if member.last is not None and comparable(study, member.last)]
        able = [trial for trial in best_first(study, known) if trial.state == "complete"]
        if last is None or not able:
            drawn = {name: domain.sample(rng) for name, domain in sorted(self._tuned.items())}
            info["origin"] = "random"
            return Proposal(study.space.sample(rng), {**self._fixed, **drawn}, Budget(epochs, left), info=info)
        few = max(1, int(self.share * len(members)))
        if last in able and able.index(last) < max(1, len(able) - few):
            before = study.budget_of(last)
            budget = Budget(before.epochs + epochs, before.epochs + left)
            return Proposal(
                last.architecture,
                last.hyperparameters,
                budget,
                Inherit(last.number),
                {**info, "origin": "continued"},
                seed=last.proposal.seed,
            )
        source = able[int(rng.integers(min(few, len(able))))]
        return Proposal(
            self._changed(study, source.architecture, rng),
            {name: self._moved(name, value, rng) for name, value in sorted(source.hyperparameters.items())},
            Budget(epochs, left),
            Inherit(source.number, "weights"),
            {**info, "origin": "exploited", "parents": [source.number]},
        )

    def _changed(self, study: StudyView, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        if rng.random() >= self.mutation:
            return architecture
        space: Any = study.space  # its capabilities are checked against `requires` before the search starts
        mutated: Architecture = space.mutate(architecture, rng)
        return mutated

    def _moved(self, name: str, value: Scalar, rng: np.random.Generator) -> Scalar:
        """A hyperparameter after exploration."""
        domain: Domain | None = self._tuned.get(name)
        if domain is None:
            return value
        if rng.random() < self.resample:
            return domain.sample(rng)
        if isinstance(domain, Categorical):
            return domain.mutate(value, rng)
        assert isinstance(value, (int, float))
        factor = 0.8 if rng.random() < 0.5 else 1.2
        moved = min(max(value * factor, domain.low), domain.high)
        if domain.size is None:
            return domain.rounded(moved)
        return min(domain.grid(domain.size), key=lambda each: abs(float(each) - moved))

    def needs_weights(self, study: StudyView) -> list[int]:
        """Numbers of the last trainings of all members, any of which may go on or be taken over."""
        number = max((_fact(t, POPULATION, 0) for t in (*study.trials, *study.pending)), default=0)
        return [member.last.number for member in self._members(study, number) if member.last is not None]

    def state_dict(self) -> dict[str, Json]:
        """Empty: the trials of the study say it all."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Has nothing to restore."""


def _fact(trial: Trial, key: str, default: int) -> int:
    found = trial.proposal.info.get(key)
    return found if isinstance(found, int) else default
