"""What all strategies of ablation share: the base first, and every variant with the same seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from nasplug.contract.errors import SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.records import Failure, Proposal
from nasplug_ablation.components import identity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nasplug.contract.jsondata import Json
    from nasplug.contract.protocols import Task
    from nasplug.contract.records import Architecture
    from nasplug.ledger.view import StudyView
    from nasplug_ablation.components import Component
    from nasplug_ablation.planned import Planned

#: Key of `proposal.info` under which a trial says what it is about.
INFO = "ablation"
#: Names of what a variant lacks, with the seed that it is trained with.
Row = tuple[tuple[str, ...], int]


@runtime_checkable
class HasVariants(Protocol):
    """A space whose architectures are one module without some of its components."""

    def resolved(self, task: Task | None) -> Mapping[str, Component]:
        """Returns all components by name, in order."""

    def components_of(self, architecture: Architecture, task: Task | None) -> list[Component]:
        """Returns the components that a variant lacks."""

    def planned(self, architecture: Architecture, task: Task | None) -> Planned:
        """Returns how a variant is made.

        Raises:
            SpecError: It cannot be made.
        """

    def without(self, names: Iterable[str]) -> Architecture:
        """Returns the variant that lacks components."""


class Ablator:
    """Base class: proposes the rows of a table that may grow with what is known.

    Every variant is planned, and so refused if it cannot be made, before the first proposal.

    Args:
        seeds: Seeds that every variant is trained with.

    Raises:
        SpecError: There are no seeds, or one stands twice.
    """

    requires = (HasVariants,)
    #: Whether all variants are known before there is any result.
    complete = True

    def __init__(self, seeds: Sequence[int] = (0, 1, 2)) -> None:
        self.seeds = tuple(int(seed) for seed in seeds)
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise SpecError(
                f"cannot train with the seeds {list(seeds)}" if seeds else "there are no seeds to train with",
                where="seeds",
                fix="give their number, at least 1, or a list of different integers from 0 on",
            )

    @property
    def settings(self) -> dict[str, Json]:
        """Options beside the seeds, as keyword arguments."""
        return {}

    @classmethod
    def nasplug_conformance(cls) -> dict[str, object]:
        """What `nasplug test-plugin` tries it on."""
        from nasplug_ablation.synthetic import conformance

        return conformance(cls)

    @hookimpl
    def propose(self, study: StudyView, count: int) -> list[Proposal]:
        """Proposes the next rows.

        Args:
            study: The study.
            count: Largest number of proposals.
        """
        rows = self._rows(study)
        start = sum(INFO in trial.proposal.info for trial in (*study.trials, *study.pending))
        if not start:  # what cannot be made is refused now, and not between trainings
            space = space_of(study)
            for names in dict.fromkeys(self.variants(study)):
                if len(names) == 1:
                    space.planned(space.without(names), study.task)
        return [self._proposal(study, names, seed) for names, seed in islice(rows, start, start + count)]

    def variants(self, study: StudyView) -> Iterator[tuple[str, ...]]:
        """Yields the names of what each variant lacks, in order and perhaps repeatedly; ends where results are missing.

        Args:
            study: The study.
        """
        raise NotImplementedError

    def length(self, components: int) -> int | None:
        """Returns the largest number of trials; None where nobody can know.

        Args:
            components: Number of components.
        """
        raise NotImplementedError

    def _rows(self, study: StudyView) -> Iterator[Row]:
        known: set[Row] = set()
        for names in self.variants(study):
            for seed in self.seeds:
                row = (tuple(sorted(names)), seed)
                if row not in known:
                    known.add(row)
                    yield row

    def _proposal(self, study: StudyView, names: tuple[str, ...], seed: int) -> Proposal:
        space = space_of(study)
        architecture = space.without(names)
        try:
            plan = space.planned(architecture, study.task)
        except SpecError as error:  # components that can go alone may not be able to go together
            failure = Failure("build", str(error))
            return Proposal(architecture, seed=seed, failure=failure, info={INFO: {"without": list(names)}})
        components = space.components_of(architecture, study.task)
        about: dict[str, Json] = {
            "id": identity(components, seed),
            "without": list(names),
            "policies": dict(plan.policies),
            "renewed": list(plan.renewed),
            "params": plan.params,
            "macs": plan.macs,
        }
        if not names:  # what a report must know beside the trials
            about |= {"components": list(space.resolved(study.task)), "settings": self.settings}
        return Proposal(architecture, seed=seed, info={INFO: about})


def space_of(study: StudyView) -> HasVariants:
    """Returns the space of a study, whose kind has been checked.

    Args:
        study: The study.
    """
    space: object = study.space
    assert isinstance(space, HasVariants)
    return space


def values(study: StudyView, names: Iterable[str]) -> dict[int, float]:
    """Returns the objective of a variant by seed, larger being better; without trials that have no result.

    Args:
        study: The study.
        names: Names of what the variant lacks.
    """
    wanted = tuple(sorted(names))
    sign = study.objectives[0].sign
    found: dict[int, float] = {}
    for trial in study.trials:
        if trial.architecture.genotype == wanted and study.is_candidate(trial):
            found.setdefault(trial.seed, sign * trial.values[study.objectives[0].name])
    return found


def known(study: StudyView, names: Iterable[str], seeds: Sequence[int]) -> bool:
    """Returns whether all trials of a variant are finished.

    Args:
        study: The study.
        names: Names of what the variant lacks.
        seeds: Seeds of the study.
    """
    wanted = tuple(sorted(names))
    done = {trial.seed for trial in study.trials if trial.architecture.genotype == wanted}
    return done >= set(seeds)
