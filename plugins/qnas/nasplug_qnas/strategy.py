"""Q-NAS as a nasplug strategy: carries candidates and results between a study and the algorithm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from nasplug.contract.errors import SpecError
from nasplug.contract.grammar import divide
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import Json
from nasplug.contract.protocols import HasVector
from nasplug.contract.records import Proposal, Scalar, Trial
from nasplug.ledger.view import StudyView
from nasplug.plugins.presets import Changes, choose
from nasplug.spaces.hyperparameters import HyperparameterSpace
from nasplug_qnas.algorithm import SETTINGS, Candidate, QNASAlgorithm, QNASSettings
from nasplug_qnas.encoding import Encoding
from nasplug_qnas.pareto import by_fronts

#: Decimals of the facts in `proposal.info`. A logarithm may differ in its last bit between machines, and a run that is
#: resumed on another one must propose the very same.
_DECIMALS = 6


@runtime_checkable
class Reduces(Protocol):
    """A space that can tell which options lower the resolution, for the penalty on doing so too often."""

    def reduces(self, option: Scalar) -> bool:
        """Whether the option has a stride above 1."""


class QNAS:
    """Quantum-inspired evolution, on any space of named choices.

    Each of `quantum_individuals` keeps a probability for every option of every choice, starting from the weights of
    the space, and a uniform pulse for every number: ranges among the choices, and the evolved hyperparameters. A
    generation samples `repetition` candidates from each, and moves the distributions towards the best candidates found
    so far. The next generation waits until the whole generation is measured, so `run.batch` should be at least the
    number of workers. Choices whose condition does not hold are drawn and moved as all others, and then ignored.

    Trials that failed, were pruned or break a constraint rank behind all others and teach nothing. Trials that were
    enqueued are not part of any generation and are ignored. With several objectives, candidates rank by non-dominated
    fronts and crowding distance; that is an extension, published Q-NAS has one objective.

    Source: Szwarcman, Civitarese and Vellasco, Applied Soft Computing 120:108674, 2022.

    Args:
        preset: `strong`, the setting of SegQNAS, in which the distributions converge, without repeated candidates
            (`segqnas2023` is the published one, with them); `cifar2022`, the published setting of Q-NAS on CIFAR,
            which stays close to sampling from the space's prior; for budgets of some 150 evaluations `table`, with
            crossover of architectures, or `anchored`, which varies survivors by the distributions.
        evolution: Settings of the evolution that differ from the preset's.
        hyperparameters: Values handed to the training by name: ranges and choices are evolved, such as
            `{low: 1e-4, high: 1e-1, log: true}`, `[0.0, 0.9]` or `[adam, sgd]`; anything else is a fixed value.
        max_generations: Number of generations after which the search ends; None leaves that to the budget of the run.

    Raises:
        SpecError: An argument is unknown, of the wrong form or out of range.
    """

    requires = (HasVector,)

    def __init__(
        self,
        preset: Literal["strong", "cifar2022", "segqnas2023", "table", "anchored"] = "strong",
        evolution: Changes[QNASSettings] = None,
        hyperparameters: Mapping[str, Any] | None = None,
        max_generations: int | None = None,
    ) -> None:
        if max_generations is not None and max_generations < 1:
            raise SpecError(f"max_generations is {max_generations}", where="qnas", fix="give 1 or more")
        self.settings = choose(SETTINGS, preset, evolution, where="qnas")
        self.max_generations = max_generations
        # A preset's penalty is left out on spaces that it was not made for; a penalty that was asked for is not.
        asked = evolution.get("penalise_above") if isinstance(evolution, Mapping) else evolution is not None
        self._penalty_asked = bool(asked)
        self._searched, self._fixed = divide(hyperparameters or {}, where="qnas.hyperparameters")
        #: Names of all hyperparameters that are proposed, which the core checks against the task.
        self.hyperparameters: tuple[str, ...] = tuple(sorted([*self._searched, *self._fixed]))
        self._algorithm: QNASAlgorithm | None = None
        self._encoding = Encoding((), {})
        self._stored: Mapping[str, Any] | None = None
        self._read, self._seen = 0, set[tuple[object, ...]]()
        self._forget_generation()

    def _forget_generation(self) -> None:
        self._candidates: list[Candidate] = []  # of the open generation, read from the algorithm when needed
        self._facts: dict[str, float] = {}
        self._handed_out = 0
        #: By index in the generation: the signed objectives of a measured candidate, None for one that failed.
        self._results: dict[int, list[float] | None] = {}

    @property
    def algorithm(self) -> QNASAlgorithm | None:
        """The state of the evolution: distributions, survivors, history. None before the first proposal."""
        return self._algorithm

    @hookimpl
    def propose(self, study: StudyView, count: int) -> list[Proposal]:
        """The next candidates of the generation, `[]` while its last ones are measured or when the search has ended."""
        algorithm = self._machine(study)
        if not self._candidates:
            if algorithm.pending is None:
                if algorithm.should_stop or algorithm.generation == self.max_generations:
                    return []
                algorithm.ask(study.rng("qnas.ask", algorithm.generation), self._repeats(study))
                self._forget_generation()
            self._candidates = algorithm.pending or []
            self._facts = {
                "entropy": round(float(algorithm.nodes.entropy().mean()), _DECIMALS),
                "max_probability": round(float(algorithm.nodes.max_probability().mean()), _DECIMALS),
            }
        start = self._handed_out
        self._handed_out = min(start + count, len(self._candidates))
        return [self._proposal(study, algorithm.generation, index) for index in range(start, self._handed_out)]

    @hookimpl
    def observe(self, study: StudyView, trial: Trial) -> None:
        """Keeps the result; the last one of a generation moves the distributions."""
        info = trial.proposal.info
        algorithm = self._machine(study)
        index = info.get("individual")
        if not isinstance(index, int) or info.get("generation") != algorithm.generation:
            return
        self._results[index] = _fitness(study, trial)
        size = self.settings.population
        if len(self._results) < size:
            return
        failed = [self._results[i] is None for i in range(size)]
        blank = [0.0] * len(study.objectives)
        fitness = np.array([self._results[i] or blank for i in range(size)])
        if len(study.objectives) == 1:
            fitness = fitness[:, 0]
        algorithm.tell(fitness, study.rng("qnas.tell", algorithm.generation), failed)
        self._forget_generation()

    def _repeats(self, study: StudyView) -> Callable[[Candidate], bool]:
        """What says of each candidate in turn whether it, or one that gives the same network, was proposed before."""
        for trial in study.trials[self._read :]:
            self._seen.add(trial.proposal.identity())
        self._read = len(study.trials)
        seen = self._seen | {trial.proposal.identity() for trial in study.pending}

        def repeats(candidate: Candidate) -> bool:
            identity = self._decoded(study, candidate).identity()
            known = identity in seen
            seen.add(identity)
            return known

        return repeats

    def _decoded(self, study: StudyView, candidate: Candidate, **info: Json) -> Proposal:
        space: Any = study.space
        hyperparameters = {**self._fixed, **self._encoding.hyperparameters(candidate)}
        return Proposal(space.from_vector(self._encoding.vector(candidate)), hyperparameters, info=info)

    def _proposal(self, study: StudyView, generation: int, index: int) -> Proposal:
        candidate = self._candidates[index]
        where: dict[str, Json] = {"generation": generation, "individual": index, "quantum_individual": candidate.parent}
        return self._decoded(study, candidate, **where, **self._facts)

    def _machine(self, study: StudyView) -> QNASAlgorithm:
        """The algorithm, made when the space is first known."""
        if self._algorithm is not None:
            return self._algorithm
        space: Any = study.space
        encoding = Encoding(space.choices, self._searched)
        settings = self.settings
        reduces = None
        # Beside hyperparameters, the space that can tell is the one inside.
        architectures: Any = space.inner if isinstance(space, HyperparameterSpace) else space
        count = len(architectures.choices)
        if isinstance(architectures, Reduces):
            reduces = encoding.flags(architectures.reduces, count)
        elif settings.penalise_above and not self._penalty_asked:
            settings = replace(settings, penalise_above=0)
        if settings.patience and len(study.objectives) > 1:
            raise SpecError(
                "patience needs a single best fitness, which several objectives do not have",
                where="qnas",
                fix="leave patience out, and end the search by max_generations or by the budget",
            )
        algorithm = QNASAlgorithm(
            encoding.sizes,
            settings,
            initial=encoding.initial,
            ranges=encoding.ranges,
            reduces=reduces,
            **({"rank": by_fronts} if len(study.objectives) > 1 else {}),
        )
        if self._stored is not None:
            algorithm.load_state_dict(self._stored)
            self._stored = None
        self._algorithm, self._encoding = algorithm, encoding
        return algorithm

    def state_dict(self) -> dict[str, Any]:
        """Everything that later proposals depend on, as JSON data."""
        return {
            "algorithm": self._stored if self._algorithm is None else self._algorithm.state_dict(),
            "handed_out": self._handed_out,
            "results": {str(index): self._results[index] for index in sorted(self._results)},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores `state_dict`; the algorithm follows when the space is known."""
        self._algorithm, self._stored = None, state["algorithm"]
        self._read, self._seen = 0, set()
        self._forget_generation()
        self._handed_out = int(state["handed_out"])
        self._results = {int(index): result for index, result in state["results"].items()}


def _fitness(study: StudyView, trial: Trial) -> list[float] | None:
    """The objectives, signed so that larger is better; None for a trial that failed, was pruned or is infeasible."""
    if not study.is_candidate(trial):
        return None
    values = trial.values
    return [objective.sign * values[objective.name] for objective in study.objectives]
