"""Bayesian optimisation with graph kernels as a nasplug strategy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from nasplug.builtin.ranking import best_first, comparable
from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.protocols import HasGraph
from nasplug.contract.records import Architecture, Proposal, Trial
from nasplug.ledger.view import StudyView
from nasplug.spaces.graph import Graph
from nasplug_bogk import acquisition as worth
from nasplug_bogk.acquisition import Acquisition
from nasplug_bogk.fitting import fit
from nasplug_bogk.hypervolume import log_expected_hypervolume_improvement, non_dominated, reference_of
from nasplug_bogk.kernels import make_kernel
from nasplug_bogk.kernels.embedding import Array
from nasplug_bogk.kernels.graph_kernel import Shape
from nasplug_bogk.kernels.neighbours import simplify
from nasplug_bogk.pool import Pool, Score
from nasplug_bogk.process import GaussianProcess
from nasplug_bogk.targets import Transform, targets, usable

#: Parameters are fitted anew when the observations have grown by this factor, and at least by one.
_REFIT = 1.1


@dataclass(frozen=True)
class Simplification:
    """Labels of nodes that do not compute.

    Attributes:
        drop: Labels of operations that give nothing: they are cut out of the graph, with what hangs on them.
        contract: Labels of operations that pass their input on: they are taken out and their neighbours joined.
    """

    drop: Sequence[str] = ("none",)
    contract: Sequence[str] = ()


class BayesianOptimisation:
    """A Gaussian process on graphs says which architecture is worth evaluating next.

    The process is fitted to all finished trials; trials that are still running count as if they had given what the
    process expects of them (the kriging believer of Ginsbourger et al., 2010), so that a batch spreads out. Of a pool
    of mutants and random architectures the one with the highest acquisition is proposed; nothing is proposed twice.

    With several objectives every proposal looks at a random scalarisation of them, as ParEGO does; with two and the
    acquisition `ehvi`, a process for each says how much a candidate would extend the front. Trials that broke a
    constraint or failed teach the process to stay away, see `nasplug_bogk.targets.targets`.

    Everything is derived from the trials of the study; nothing else is kept.

    Args:
        kernel: `wl`, `sp`, `rw`, `gcn`, `gcn_infinite`, or several joined by `+`, whose weights are then fitted.
        shape: Function by which similarity falls with the distance in the kernel's embedding: `matern52`, `rbf`, or
            `linear` for the cosine; default: `linear` for `wl`, `matern52` for the others.
        acquisition: `ei`, `aei` for noisy results, `ucb` or `thompson`; `ehvi` for two objectives.
        initial: Random architectures at the start.
        pool: Candidates drawn for a proposal.
        parents: Number of the best architectures that are mutated for it.
        random_share: Part of the pool that is random.
        rounds: Number of times that the candidates of highest acquisition are mutated further.
        transform: Transform of the objective before the fit: `auto`, `none`, `log_error`, `quantile`.
        noise: Variance of the results' noise relative to that of the results, if known; None fits it.
        graphs: Simplification of graphs before they are compared; see `Simplification`.
        kernel_options: Keyword arguments of the embeddings by their names.

    Raises:
        SpecError: An argument is of the wrong form or out of range.
    """

    requires: tuple[type, ...] = (HasGraph,)

    def __init__(
        self,
        kernel: str = "gcn_infinite",
        shape: Shape | None = None,
        acquisition: Acquisition = "ei",
        initial: int = 10,
        pool: int = 200,
        parents: int = 10,
        random_share: float = 0.5,
        rounds: int = 0,
        transform: Transform = "auto",
        noise: float | None = None,
        graphs: Simplification | None = None,
        kernel_options: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        _among("acquisition", acquisition, get_args(Acquisition))
        _among("transform", transform, get_args(Transform))
        for name, value, least in (
            ("initial", initial, 2),
            ("pool", pool, 1),
            ("parents", parents, 1),
            ("rounds", rounds, 0),
        ):
            if value < least:
                raise SpecError(f"{name} is {value}", where="bogk", fix=f"give {least} or more")
        if not 0.0 <= random_share <= 1.0:
            raise SpecError(f"random_share must lie in [0, 1], got {random_share}", where="bogk")
        if noise is not None and noise < 0.0:
            raise SpecError(
                f"noise must be a variance >= 0, got {noise}", where="bogk", fix="give 0 or more, or leave it out"
            )
        self.kernel = make_kernel(kernel, shape, kernel_options)
        self.acquisition, self.initial, self.parents = acquisition, initial, parents
        self.pool = Pool(pool, random_share, rounds)
        self.transform, self.noise = transform, noise
        self.graphs = graphs or Simplification()
        self._forget()

    def _forget(self) -> None:
        self._graphs: dict[str, Graph] = {}
        self._fitted: dict[int | None, tuple[int, GaussianProcess]] = {}

    @hookimpl
    def propose(self, study: StudyView, count: int) -> list[Proposal]:
        """Random architectures first, then one candidate of highest acquisition after the other.

        Raises:
            SpecError: The acquisition is `ehvi`, and there are not two objectives.
        """
        if self.acquisition == "ehvi" and len(study.objectives) != 2:
            raise SpecError(
                f"the acquisition ehvi takes two objectives, and there are {len(study.objectives)}",
                where="bogk",
                fix="take ei, which scalarises any number of them",
            )
        running = [trial.architecture for trial in study.pending]
        proposals = []
        for offset in range(count):
            proposal = self._next(study, study.proposed + offset, running)
            running.append(proposal.architecture)
            proposals.append(proposal)
        return proposals

    def _next(self, study: StudyView, number: int, running: Sequence[Architecture]) -> Proposal:
        rng = study.rng("bogk.propose", number)
        seen = {trial.architecture.key for trial in study.trials} | {each.key for each in running}
        trials = usable(study)
        if number < self.initial or len(trials) < 2:
            return study.proposal(self._unseen(study, seen, rng), origin="random")
        if self.acquisition == "ehvi":
            parents, score = self._towards_front(study, trials, running)
        else:
            parents, score = self._towards_best(study, trials, running, number, rng)
        chosen = self.pool.best(study.space, parents, seen, rng, score)
        if chosen is None:
            return study.proposal(study.space.sample(rng), origin="random")
        return study.proposal(chosen, origin=self.acquisition)

    def _towards_best(
        self,
        study: StudyView,
        trials: Sequence[Trial],
        running: Sequence[Architecture],
        number: int,
        rng: np.random.Generator,
    ) -> tuple[list[Architecture], Score]:
        """Architectures to mutate, and the worth of candidates, with one objective or a scalarisation."""
        process, observed = self.posterior(study, trials, number)
        expected = process.smoothed()
        order = np.argsort(-expected, kind="stable")[: self.parents]
        believing = self._believing(study, process, running)
        score = self._score(study, believing, float(expected.max()), len(observed), rng)
        return [observed[i].architecture for i in order], score

    def _towards_front(
        self, study: StudyView, trials: Sequence[Trial], running: Sequence[Architecture]
    ) -> tuple[list[Architecture], Score]:
        """Architectures to mutate, and the worth of candidates, with two objectives by the expected hypervolume."""
        processes = []
        for objective in (0, 1):
            process = self._process(study, trials, objective)
            process.believe(targets(study, trials, self.transform, study.rng("bogk.scalarise"), objective))
            processes.append(process)
        believing = [self._believing(study, process, running) for process in processes]
        expected = np.stack([process.smoothed() for process in believing], axis=1)
        counted = [study.is_candidate(trial) for trial in trials] + [True] * len(running)
        reached = expected[counted] if any(counted) else expected
        front, reference = non_dominated(reached), reference_of(reached)

        def score(candidates: Sequence[Architecture]) -> Array:
            graphs = [self.graph(study, candidate) for candidate in candidates]
            means, deviations = np.swapaxes([process.predict(graphs, rough=True) for process in believing], 0, 1)
            return log_expected_hypervolume_improvement(means, deviations, front, reference)

        best = best_first(study, [trial for trial in trials if comparable(study, trial)])
        return [trial.architecture for trial in best[: self.parents]], score

    def _believing(
        self, study: StudyView, process: GaussianProcess, running: Sequence[Architecture]
    ) -> GaussianProcess:
        """The process as if the running trials had given what it expects of them."""
        graphs = [self.graph(study, each) for each in running]
        believing = process.fork()
        believing.add(graphs, process.mean(graphs))
        return believing

    def posterior(
        self, study: StudyView, trials: Sequence[Trial] | None = None, number: int | None = None
    ) -> tuple[GaussianProcess, Sequence[Trial]]:
        """The process after the finished trials, and the trials that it observed.

        Args:
            study: Study with at least two finished trials.
            trials: Trials to learn from; default: all finished trials of the study.
            number: Number of the proposal that asks, which decides the scalarisation of several objectives.
        """
        trials = usable(study) if trials is None else trials
        number = study.proposed if number is None else number
        process = self._process(study, trials)
        process.believe(targets(study, trials, self.transform, study.rng("bogk.scalarise", number)))
        return process, trials

    @hookimpl
    def recommend(self, study: StudyView) -> int | None:
        """The finished trial of which the process expects most, once it has seen more than random architectures."""
        trials = usable(study)
        if len(study.objectives) > 1 or len(trials) < max(2, self.initial):
            return None
        process, observed = self.posterior(study, trials)
        expected = process.smoothed()
        candidates = [place for place, trial in enumerate(observed) if study.is_candidate(trial)]
        if not candidates:
            return None
        return observed[max(candidates, key=lambda place: (expected[place], -place))].number

    def graph(self, study: StudyView, architecture: Architecture) -> Graph:
        """The architecture's graph as the kernel sees it."""
        graph = self._graphs.get(architecture.key)
        if graph is None:
            space: Any = study.space
            graph = simplify(space.graph(architecture), self.graphs.drop, self.graphs.contract)
            self._graphs[architecture.key] = graph
        return graph

    def _process(self, study: StudyView, trials: Sequence[Trial], objective: int | None = None) -> GaussianProcess:
        """A process that observed these trials, whatever their targets; fitted to one objective if one is given.

        Parameters are fitted to the first trials, as many as the schedule says, and the others join one by one. The
        factorisation is therefore made in the same steps by a search that was resumed, and equal to the last bit.
        """
        count = step = min(2, len(trials))
        while step <= len(trials):
            count, step = step, max(step + 1, math.ceil(step * _REFIT))
        fitted = self._fitted.get(objective)
        if fitted is None or fitted[0] != count or len(fitted[1].graphs) > len(trials):
            some = trials[:count]
            values = targets(study, some, self.transform, study.rng("bogk.fit", count), objective)
            graphs = [self.graph(study, trial.architecture) for trial in some]
            fitted = self._fitted[objective] = count, fit(self.kernel, graphs, values, self.noise)
        process = fitted[1]
        for trial in trials[len(process.graphs) :]:
            process.add([self.graph(study, trial.architecture)], np.zeros(1))
        return process

    def _score(
        self, study: StudyView, process: GaussianProcess, best: float, count: int, rng: np.random.Generator
    ) -> Score:
        """The acquisition of architectures."""

        def score(candidates: Sequence[Architecture]) -> Array:
            graphs = [self.graph(study, candidate) for candidate in candidates]
            if self.acquisition == "thompson":
                return process.sample(graphs, rng)
            mean, deviation = process.predict(graphs, rough=True)
            if self.acquisition == "ucb":
                return worth.upper_confidence_bound(mean, deviation, count)
            improvement = worth.log_expected_improvement(mean, deviation, best)
            if self.acquisition == "aei":
                improvement += worth.augmentation(deviation, math.sqrt(process.noise * process.scale))
            return improvement

        return score

    @staticmethod
    def _unseen(study: StudyView, seen: set[str], rng: np.random.Generator) -> Architecture:
        architecture = study.space.sample(rng)
        for _ in range(20):
            if architecture.key not in seen:
                break
            architecture = study.space.sample(rng)
        return architecture

    def state_dict(self) -> dict[str, Any]:
        """Empty: the trials of the study say it all."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Reads the study anew at the next proposal."""
        self._forget()


def _among(name: str, value: str, options: Sequence[str]) -> None:
    if value not in options:
        raise SpecError(f"{name}={value!r} is unknown", where="bogk", fix=did_you_mean(value, options))
