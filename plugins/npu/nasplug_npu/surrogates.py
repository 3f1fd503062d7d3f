"""A learned stand-in for the model: cheap predictions of latency and energy, with their error, that screen units.

It learns how much longer a unit takes, and how much more it spends, than its lower bounds say, from units that the
model has priced. Trees are boosted on the logarithms of what the units differ in. Predictions never replace the model:
they say which units it need not be asked about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nasplug.contract.errors import SpecError
from nasplug.contract.wording import plural
from nasplug_npu.model.points import NUMBERS, Points
from nasplug_npu.model.rows import Array

if TYPE_CHECKING:
    from nasplug_npu.exploration import Evaluate

#: Fewest units that say anything.
FEWEST = 50
#: Share of units, kept out of training, whose prediction is at most `margin` times too high.
_COVERED = 0.99
_FOLDS = 4


@dataclass(frozen=True)
class Errors:
    """How far predictions of a surrogate are off, on units that it did not learn from.

    Attributes:
        units: Number of units that it learned from.
        median: Median relative error of latency and of energy.
        margin: Factor by which 99 % of the predictions are at most too high, for latency and for energy.
    """

    units: int
    median: tuple[float, float]
    margin: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"units": self.units, "median": list(self.median), "margin": list(self.margin)}


class Surrogate:
    """Predicts latency and energy of units.

    Args:
        sets: Units; those of one set share everything but numbers.
        bounds: Area, and lower bounds of latency and energy, of the units of every set, (P, 3).
        seed: Seed of the units that are learned from, and of the training.
    """

    def __init__(self, sets: Sequence[Points], bounds: Sequence[Array], seed: int = 0) -> None:
        self._bounds = bounds
        self._features = _features(sets, bounds)
        self._rng, self._seed = np.random.default_rng(seed), seed
        self._models: list[Any] = []
        #: What the model said: number of the set, units, and their area, latency and energy.
        self.asked: list[tuple[int, npt.NDArray[np.intp], Array]] = []

    def learn(self, units: int, evaluate: Evaluate) -> Errors:
        """Has the model price units drawn at random, and learns from them.

        Args:
            units: Number of units, at most as many as there are.
            evaluate: Function that gives area, latency and energy of some units of a set, (P, 3), infinite where a
                network does not fit.

        Returns:
            The errors in cross-validation.

        Raises:
            SpecError: There are too few units to learn from.
        """
        sizes = np.array([len(bound) for bound in self._bounds])
        ends = np.cumsum(sizes)
        drawn = np.sort(self._rng.permutation(int(ends[-1]))[:units])
        features, ratios = [], []
        for number, end in enumerate(ends):
            members = drawn[(drawn >= end - sizes[number]) & (drawn < end)] - (end - sizes[number])
            if not len(members):
                continue
            values = evaluate(number, members)
            self.asked.append((number, members, values))
            values = values[:, 1:]
            fits = np.isfinite(values).all(axis=1)
            features.append(self._features[number][members[fits]])
            ratios.append(np.log(values[fits] / self._bounds[number][members[fits], 1:]))
        known, wanted = np.concatenate(features), np.concatenate(ratios)
        if len(known) < FEWEST:
            raise SpecError(
                f"{plural(len(known), 'unit')} of at least {FEWEST}: too few to learn from",
                where="explore",
                fix="price more of them, or screen none",
            )
        off = np.empty_like(wanted)
        for part in np.array_split(self._rng.permutation(len(known)), _FOLDS):
            rest = np.setdiff1d(np.arange(len(known)), part)
            for column in (0, 1):
                model = self._fitted(known[rest], wanted[rest, column])
                off[part, column] = model.predict(known[part]) - wanted[part, column]
        self._models = [self._fitted(known, wanted[:, column]) for column in (0, 1)]
        median = np.median(np.abs(np.expm1(off)), axis=0)
        margin = np.exp(np.maximum(np.quantile(off, _COVERED, axis=0), 0.0))
        return Errors(len(known), (float(median[0]), float(median[1])), (float(margin[0]), float(margin[1])))

    def predict(self, number: int) -> Array:
        """Latency and energy of all units of a set, (P, 2)."""
        ratios = np.stack([model.predict(self._features[number]) for model in self._models], axis=1)
        found: Array = self._bounds[number][:, 1:] * np.exp(ratios)
        return found

    def _fitted(self, features: Array, wanted: Array) -> Any:
        from sklearn.ensemble import HistGradientBoostingRegressor

        model = HistGradientBoostingRegressor(
            max_iter=150, learning_rate=0.1, min_samples_leaf=5, max_leaf_nodes=15, random_state=self._seed
        )
        return model.fit(features, wanted)


def _features(sets: Sequence[Points], bounds: Sequence[Array]) -> list[npt.NDArray[np.float32]]:
    """Logarithms of the numbers that units differ in and of their bounds, and the number of their set."""
    varying = [
        name
        for name in NUMBERS
        if len({float(value) for points in sets for value in np.unique(points.fields[name])}) > 1
    ]
    found = []
    for number, (points, bound) in enumerate(zip(sets, bounds, strict=True)):
        columns = [np.broadcast_to(points.fields[name], (len(points),)) for name in varying]
        logs = np.log2(np.maximum(np.stack([*columns, *bound.T], axis=1), 1e-30))
        found.append(np.column_stack([logs, np.full(len(points), number)]).astype(np.float32))
    return found
