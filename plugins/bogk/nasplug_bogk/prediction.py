"""Predictions of any metric for networks that were never trained, with intervals that were put to the test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import kendalltau

from nasplug.contract.errors import SpecError, StudyError, did_you_mean
from nasplug.contract.protocols import HasGraph, HasVector
from nasplug.contract.records import Architecture, Trial
from nasplug.contract.wording import plural
from nasplug.spaces.decisions import decision_graph
from nasplug.spaces.graph import Graph
from nasplug_bogk.fitting import fit
from nasplug_bogk.kernels import make_kernel
from nasplug_bogk.kernels.embedding import Array
from nasplug_bogk.kernels.neighbours import simplify
from nasplug_bogk.process import GaussianProcess

if TYPE_CHECKING:
    from nasplug.ledger.view import StudyView

#: Fewest networks from which something is learnt, and number of parts in which the intervals are tested.
FEWEST, FOLDS = 10, 10
#: Ratio of the largest to the smallest value from which on a metric above 0 is predicted on a logarithmic scale.
_WIDE = 5.0


@dataclass(frozen=True, slots=True)
class Prediction:
    """What is expected of one network.

    Attributes:
        mean: Most likely value of the metric.
        low: Lower end of the interval for the result of one training.
        high: Upper end of it.
    """

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """How well the surrogate predicts trials that it was not told of, by cross-validation over networks.

    Attributes:
        trials: Number of trials.
        level: Share of the results that intervals are meant to hold.
        coverage: Share that the intervals of the process hold by themselves, before they are scaled.
        factor: Factor by which intervals are scaled so that they hold the share.
        kendall: Rank correlation of predictions and results.
        rmse: Root of the mean squared error, in units of the metric.
        spread: Standard deviation of the results: the error of a prediction by their mean.
    """

    trials: int
    level: float
    coverage: float
    factor: float
    kendall: float
    rmse: float
    spread: float


class Surrogate:
    """A Gaussian process on the graphs of a study's networks, fitted to one metric, whatever strategy proposed them.

    Metrics below 1 or, by the name of an accuracy, below 100 are predicted by the logarithm of what is missing;
    positive ones that range widely, such as parameters, by their logarithm. In a space without graphs every decision
    is a path of its own.

    Intervals are conformal: every tenth of the networks is predicted from the others, and the errors, in standard
    deviations of the process, say how wide an interval must be (Papadopoulos, Gammerman and Vovk, "Normalized
    Nonconformity Measures for Regression Conformal Prediction", 2008). New networks that resemble those of the study
    are inside as often as promised, whether or not the process fits; networks of another kind may not be.

    Args:
        study: Study with its space and at least ten networks that have the metric.
        metric: Name of a metric or cost; default: the first objective.
        kernel: Kernel of the process, as for the strategy `bogk`.
        level: Share of the results that intervals are meant to hold.

    Raises:
        StudyError: Too few networks have the metric.
        SpecError: No trial has it, or the level is not between 0 and 1.
    """

    def __init__(
        self, study: StudyView, metric: str | None = None, *, kernel: str = "gcn_infinite", level: float = 0.9
    ) -> None:
        if not 0.0 < level < 1.0:
            raise SpecError(f"level must lie between 0 and 1, got {level}", where="surrogate")
        self.metric = study.objectives[0].name if metric is None else metric
        self._space: Any = study.space
        if not isinstance(self._space, (HasGraph, HasVector)):
            raise SpecError(f"the space {study.space.name!r} has neither graphs nor named decisions", where="surrogate")
        self._kernel = make_kernel(kernel)
        trials = _measured(study, self.metric)
        values = np.array([trial.values[self.metric] for trial in trials])
        self._scale = _Scale.of(values, self.metric)
        graphs = [self._graph(trial.architecture) for trial in trials]
        on_scale = self._scale.forward(values)
        self._process, self._shift = self._fitted(graphs, on_scale)
        self.calibration = self._tested(trials, graphs, values, on_scale, level, study.rng("surrogate.folds"))

    def predict(self, architectures: Sequence[Architecture]) -> list[Prediction]:
        """What one training of each network is expected to give.

        Args:
            architectures: Architectures of the study's space.
        """
        if not architectures:
            return []
        mean, deviation = self._belief(
            self._process, self._shift, [self._graph(architecture) for architecture in architectures]
        )
        reach = self.calibration.factor * deviation
        ends = np.sort(self._scale.back(np.stack([mean - reach, mean + reach])), axis=0)
        return [Prediction(*map(float, each)) for each in zip(self._scale.back(mean), *ends, strict=True)]

    def _graph(self, architecture: Architecture) -> Graph:
        if isinstance(self._space, HasGraph):
            return simplify(self._space.graph(architecture), ("none",), ())
        return decision_graph(self._space, architecture)

    def _fitted(self, graphs: Sequence[Graph], values: Array) -> tuple[GaussianProcess, tuple[float, float]]:
        middle, spread = float(values.mean()), max(float(values.std()), 1e-12)
        return fit(self._kernel, graphs, (values - middle) / spread), (middle, spread)

    @staticmethod
    def _belief(process: GaussianProcess, shift: tuple[float, float], graphs: Sequence[Graph]) -> tuple[Array, Array]:
        """Mean and standard deviation of one training's result, on the scale of the process's targets."""
        mean, deviation = process.predict(graphs)
        middle, spread = shift
        return middle + spread * mean, spread * np.sqrt(np.square(deviation) + process.noise * process.scale)

    def _tested(
        self,
        trials: Sequence[Trial],
        graphs: Sequence[Graph],
        values: Array,
        on_scale: Array,
        level: float,
        rng: np.random.Generator,
    ) -> Calibration:
        """Cross-validation in which all trials of a network are in the same part."""
        keys = list(dict.fromkeys(trial.architecture.key for trial in trials))
        part_of = dict(zip(keys, (rng.permutation(len(keys)) % FOLDS).tolist(), strict=True))
        parts = np.array([part_of[trial.architecture.key] for trial in trials])
        mean, deviation = np.zeros(len(trials)), np.ones(len(trials))
        for part in range(FOLDS):
            inside, outside = np.flatnonzero(parts == part).tolist(), np.flatnonzero(parts != part).tolist()
            if inside:
                process, shift = self._fitted([graphs[i] for i in outside], on_scale[outside])
                mean[inside], deviation[inside] = self._belief(process, shift, [graphs[i] for i in inside])
        errors = np.abs(on_scale - mean) / deviation
        predicted = self._scale.back(mean)
        return Calibration(
            trials=len(trials),
            level=level,
            coverage=float((errors <= _normal_quantile(level)).mean()),
            factor=_conformal(errors, level),
            kendall=float(np.nan_to_num(kendalltau(predicted, values).statistic)),
            rmse=float(np.sqrt(np.square(predicted - values).mean())),
            spread=float(values.std()),
        )


def predict_metric(
    study: StudyView, architectures: Sequence[Architecture], metric: str | None = None, *, level: float = 0.9
) -> list[Prediction]:
    """Predicts a metric of networks from the trials of a study; shorthand for `Surrogate(...).predict(...)`.

    Args:
        study: Study with its space.
        architectures: Architectures of that space.
        metric: Name of a metric or cost; default: the first objective.
        level: Share of the results that intervals are meant to hold.
    """
    return Surrogate(study, metric, level=level).predict(architectures)


@dataclass(frozen=True)
class _Scale:
    """The scale on which a metric is predicted.

    Attributes:
        kind: `plain`, `logarithm`, or `missing`: minus the logarithm of what is missing to the top.
        top: Highest possible value, for `missing`.
    """

    kind: str
    top: float = 1.0

    @classmethod
    def of(cls, values: Array, name: str) -> _Scale:
        low, high = float(values.min()), float(values.max())
        percent = "acc" in name or "dice" in name
        if low >= 0.0 and high < 1.0 and percent:
            return cls("missing", 1.0)
        if low >= 0.0 and 1.0 < high < 100.0 and percent:
            return cls("missing", 100.0)
        return cls("logarithm" if low > 0.0 and high > _WIDE * low else "plain")

    def forward(self, values: Array) -> Array:
        if self.kind == "missing":
            return -np.log(np.maximum(self.top - values, 1e-6 * self.top))
        return np.log(values) if self.kind == "logarithm" else values

    def back(self, values: Array) -> Array:
        if self.kind == "missing":
            return self.top - np.exp(-values)
        return np.exp(values) if self.kind == "logarithm" else values


def _measured(study: StudyView, metric: str) -> list[Trial]:
    """Complete trials that have the metric, but for copies."""
    known = [trial for trial in study.trials if trial.state == "complete" and trial.copied_from is None]
    found = [trial for trial in known if math.isfinite(trial.values.get(metric, math.nan))]
    if known and not found:
        names = sorted({name for trial in known for name in trial.values})
        raise SpecError(f"no trial has the metric {metric!r}", where="surrogate", fix=did_you_mean(metric, names))
    networks = len({trial.architecture.key for trial in found})
    if networks < FEWEST:
        raise StudyError(
            f"{plural(networks, 'network')} with the metric {metric!r}, and {FEWEST} are needed to learn from",
            fix="continue the search with a larger budget.trials",
        )
    return found


def _normal_quantile(level: float) -> float:
    """Half of the interval of a standard normal distribution that holds a share."""
    return NormalDist().inv_cdf(0.5 + 0.5 * level)


def _conformal(errors: Array, level: float) -> float:
    """The smallest factor at which intervals hold the share of a further result."""
    rank = min(math.ceil((len(errors) + 1) * level), len(errors))
    return float(np.sort(errors)[rank - 1])
