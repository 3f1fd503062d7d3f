"""Optuna's samplers as nasplug strategies: carries candidates and results between two studies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import optuna
from optuna.trial import TrialState

from nasplug.contract.errors import SpecError
from nasplug.contract.grammar import DomainLike, divide
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.contract.protocols import HasVector
from nasplug.contract.records import Proposal, Trial
from nasplug.ledger.view import StudyView
from nasplug_optuna.outcome import directions, excesses, intermediate, objective_values
from nasplug_optuna.parameters import Ordered, Parameters
from nasplug_optuna.quiet import quiet
from nasplug_optuna.samplers import SamplerRecipe, missing_libraries

#: Key in `proposal.info` that holds the number of the trial in Optuna's study.
LABEL = "optuna"


class OptunaStrategy:
    """Any sampler of Optuna, on any space of named choices.

    The sampler works in a study of Optuna's own, in memory, which gets every trial of the search: complete ones with
    their values, those that a stopper ended with their course, failed ones as failed, running ones as running, and
    enqueued ones as if Optuna had proposed them. One sampler with one seed serves the whole search, so that it
    proposes what it would propose in Optuna itself. A resumed search replays it from the first trial.

    Constraints are told with every trial, divided by their bounds, and Optuna decides what to make of them. CMA-ES
    knows none: infeasible trials count as failed for it.

    Ranges among the choices are numbers for Optuna too, and choices whose condition does not hold are not parameters
    of the trial. Optuna has no prior over options: weights are not used.

    Source: Akiba, Sano, Yanase, Ohta and Koyama, "Optuna: A Next-generation Hyperparameter Optimization Framework",
    KDD 2019; the methods are those of the installed Optuna.

    Args:
        sampler: A name such as `tpe`, `nsga2` or `GPSampler`, or the class path of a sampler from elsewhere.
        options: Arguments of the sampler, as Optuna documents them. Samplers inside it (`base_sampler`,
            `independent_sampler`) and the operators of NSGA (`crossover`, `mutation`) are named like this one;
            `fixed_params` takes options of the space; seed, constraints and a grid come from the study.
        hyperparameters: Values handed to the training by name: ranges and choices are searched, such as
            `{low: 1e-4, high: 1e-1, log: true}`, `[8, 64, log]` or `[adam, sgd]`; anything else is a fixed value.
        ordered: Choices that are presented as ordered: `none`, `numeric` (three or more numbers in order), or `all`.
            None takes what suits the sampler: `all` for CMA-ES and QMC, `numeric` for others.

    Raises:
        SpecError: The sampler, an option or a hyperparameter does not exist or has the wrong form.
        MissingExtraError: The sampler needs a library that is not installed.
    """

    requires = (HasVector,)

    def __init__(
        self,
        sampler: str = "tpe",
        options: JsonObject | None = None,
        hyperparameters: Mapping[str, DomainLike] | None = None,
        ordered: Ordered | None = None,
    ) -> None:
        self.recipe = SamplerRecipe(sampler, options or {}, where=f"sampler {sampler!r}")
        self.ordered: Ordered = ordered or self.recipe.default_order
        self._tuned, self._fixed = divide(hyperparameters or {}, where="hyperparameters")
        #: Names of all hyperparameters that are proposed, which the core checks against the task.
        self.hyperparameters: tuple[str, ...] = tuple(sorted([*self._tuned, *self._fixed]))
        self._optuna: _AskedStudy | None = None
        self._parameters: Parameters | None = None
        #: By Optuna's number: trials in flight, with the key of the architecture that was proposed.
        self._asked: dict[int, tuple[optuna.Trial, str]] = {}
        self._walked: set[tuple[object, ...]] = set()

    @hookimpl
    def propose(self, study: StudyView, count: int) -> list[Proposal]:
        """Asks the sampler; `[]` when it has walked through the whole space."""
        inner, parameters = self._inner(study)
        space: Any = study.space
        proposals = []
        for _ in range(0 if inner.stopped else count):
            asked = self._ask(inner, parameters)
            combination = tuple(sorted(asked.params.items()))
            if self.recipe.ends and combination in self._walked:  # the others are in flight: there are no more
                with quiet():
                    inner.tell(asked, state=TrialState.FAIL)
                inner.stop()
                break
            self._walked.add(combination)
            indices, tuned = parameters.split(asked.params)
            architecture = space.from_vector(indices)
            self._asked[asked.number] = asked, architecture.key
            proposals.append(Proposal(architecture, {**self._fixed, **tuned}, info={LABEL: asked.number}))
        return proposals

    @hookimpl
    def observe(self, study: StudyView, trial: Trial) -> None:
        """Tells the sampler."""
        number = trial.proposal.info.get(LABEL)
        mine, key = self._asked.pop(number, (None, "")) if isinstance(number, int) else (None, "")
        asked = mine if key == trial.architecture.key else self._adopt(study, trial)
        if asked is not None:
            self._tell(study, asked, trial)

    def _ask(self, inner: _AskedStudy, parameters: Parameters) -> optuna.Trial:
        try:
            with quiet():
                return parameters.ask(inner)
        except ValueError as error:  # such as several objectives for a sampler of one
            raise SpecError(
                f"sampler {self.recipe.name!r} cannot search this", where="strategy", why=str(error)
            ) from error

    def _adopt(self, study: StudyView, trial: Trial) -> optuna.Trial | None:
        """A trial of somebody else, such as an enqueued one, as if Optuna had proposed it; None if it does not fit."""
        inner, parameters = self._inner(study)
        space: Any = study.space
        params = parameters.join(space.vector(trial.architecture), trial.hyperparameters)
        if params is None or self.recipe.walks_a_list:
            return None
        with quiet():
            inner.enqueue_trial(params)
        return self._ask(inner, parameters)

    def _tell(self, study: StudyView, asked: optuna.Trial, trial: Trial) -> None:
        inner, _ = self._inner(study)
        values = objective_values(study, trial) if trial.state == "complete" else None
        blind = self.recipe.ignores_constraints
        hidden = blind and study.violation(trial) > 0
        with quiet():
            for name, excess in () if blind else excesses(study, trial).items():
                asked.set_constraint(name, excess)
            if values is not None and not hidden:
                inner.tell(asked, values)
            elif trial.state == "pruned" and not hidden:
                if len(study.objectives) == 1:  # Optuna keeps no course of several objectives
                    for step, value in intermediate(study, trial).items():
                        asked.report(value, step)
                inner.tell(asked, state=TrialState.PRUNED)
            else:
                inner.tell(asked, state=TrialState.FAIL)

    def _inner(self, study: StudyView) -> tuple[_AskedStudy, Parameters]:
        """Optuna's study, made when the space is first known."""
        if self._optuna is None or self._parameters is None:
            space: Any = study.space
            self._parameters = Parameters(space.choices, self._tuned, self.ordered)
            sampler = self.recipe.build(study.rng("optuna"), self._parameters)
            storage = optuna.storages.InMemoryStorage()
            with quiet():
                optuna.create_study(storage=storage, study_name="nasplug", directions=directions(study))
                self._optuna = _AskedStudy("nasplug", storage, sampler=sampler)
        return self._optuna, self._parameters


class _AskedStudy(optuna.Study):
    """A study without a loop of its own: what would end the loop is noted."""

    stopped = False

    def stop(self) -> None:
        """Called by a sampler that has proposed everything there is."""
        self.stopped = True


class _Named(OptunaStrategy):
    """One sampler, with its options beside those of the strategy."""

    sampler: ClassVar[str]
    #: What `nasplug test-plugin` tries the strategy with, and what its suite must know about it.
    tried_with: ClassVar[JsonObject] = {}
    nasplug_conformance: ClassVar[JsonObject] = {}

    @classmethod
    def nasplug_examples(cls) -> list[JsonObject]:
        """Nothing where the libraries of the sampler are missing."""
        return [] if missing_libraries(cls.sampler) else [cls.tried_with]

    def __init__(
        self, hyperparameters: Mapping[str, DomainLike] | None = None, ordered: Ordered | None = None, **options: Json
    ) -> None:
        super().__init__(self.sampler, options, hyperparameters, ordered)


class TPE(_Named):
    """Tree-structured Parzen estimator: the candidate whose density is highest among good trials, relative to others.

    With one objective Optuna models all choices together; with several, each by itself (`multivariate` decides).

    Source: Bergstra, Bardenet, Bengio and Kégl, "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011.

    Args:
        hyperparameters: Searched hyperparameters, as for `OptunaStrategy`.
        ordered: Ordered choices, as for `OptunaStrategy`.
        **options: Arguments of the sampler, as Optuna documents them.
    """

    sampler = "tpe"


class Random(_Named):
    """Independent uniform choices.

    Unlike nasplug's own `random`, it does not know the prior of the space.

    Args:
        hyperparameters: Searched hyperparameters, as for `OptunaStrategy`.
        ordered: Ordered choices, as for `OptunaStrategy`.
        **options: Arguments of the sampler, as Optuna documents them.
    """

    sampler = "random"


class NSGA2(_Named):
    """NSGA-II: tournaments by non-dominated fronts and crowding distance, crossover, mutation.

    Source: Deb, Pratap, Agarwal and Meyarivan, IEEE Transactions on Evolutionary Computation 6(2), 2002.

    Args:
        hyperparameters: Searched hyperparameters, as for `OptunaStrategy`.
        ordered: Ordered choices, as for `OptunaStrategy`.
        **options: Arguments of the sampler, as Optuna documents them.
    """

    sampler = "nsga2"


class NSGA3(_Named):
    """NSGA-III: like NSGA-II, with reference directions in the place of the crowding distance.

    Source: Deb and Jain, IEEE Transactions on Evolutionary Computation 18(4), 2014.

    Args:
        hyperparameters: Searched hyperparameters, as for `OptunaStrategy`.
        ordered: Ordered choices, as for `OptunaStrategy`.
        **options: Arguments of the sampler, as Optuna documents them.
    """

    sampler = "nsga3"


class CMAES(_Named):
    """CMA-ES: a normal distribution over the positions of options, which must have a meaningful order. One objective.

    Source: Hansen and Ostermeier, Evolutionary Computation 9(2), 2001. Needs the extra `cmaes`.

    Args:
        hyperparameters: Searched hyperparameters, as for `OptunaStrategy`.
        ordered: Ordered choices, as for `OptunaStrategy`.
        **options: Arguments of the sampler, as Optuna documents them.
    """

    sampler = "cmaes"
    nasplug_conformance: ClassVar[JsonObject] = {"several_objectives": False}


class GP(_Named):
    """Gaussian process with (log) expected improvement, for several objectives expected hypervolume improvement.

    Slow beside the others: a fit per proposal, and as many again when a search is resumed. Needs the extra `gp`.

    Args:
        hyperparameters: Searched hyperparameters, as for `OptunaStrategy`.
        ordered: Ordered choices, as for `OptunaStrategy`.
        **options: Arguments of the sampler, as Optuna documents them.
    """

    sampler = "gp"
    tried_with: ClassVar[JsonObject] = {"n_startup_trials": 5}
    nasplug_conformance: ClassVar[JsonObject] = {"trials": 10}


class QMC(_Named):
    """Quasi-random sequences, which cover the space more evenly than random numbers. Needs the extra `qmc`.

    Args:
        hyperparameters: Searched hyperparameters, as for `OptunaStrategy`.
        ordered: Ordered choices, as for `OptunaStrategy`.
        **options: Arguments of the sampler, as Optuna documents them.
    """

    sampler = "qmc"
    nasplug_conformance: ClassVar[JsonObject] = {"stochastic": False}


class Grid(_Named):
    """Every combination of a space of up to 200,000 points, in random order; then the search ends.

    Args:
        hyperparameters: Searched hyperparameters, as for `OptunaStrategy`.
        ordered: Ordered choices, as for `OptunaStrategy`.
        **options: Arguments of the sampler, as Optuna documents them.
    """

    sampler = "grid"


class BruteForce(_Named):
    """Every combination once, without a list of them beforehand; then the search ends.

    Args:
        hyperparameters: Searched hyperparameters, as for `OptunaStrategy`.
        ordered: Ordered choices, as for `OptunaStrategy`.
        **options: Arguments of the sampler, as Optuna documents them.
    """

    sampler = "brute_force"
