"""Learning the order of values instead of the values."""

from __future__ import annotations

from scipy.stats import norm, rankdata

from nasplug_infonas.regressors.base import Belief, Floats, Regressor, State, Vectors


def normal_scores(values: Floats) -> Floats:
    """The normal quantiles of the values' ranks, ties sharing theirs: float64 (n,), without outliers."""
    scores: Floats = norm.ppf((rankdata(values) - 0.5) / len(values))
    return scores


class NormalScores:
    """A regressor that learns the normal scores of values; its beliefs are scores, too.

    A few networks of a benchmark fail to train and score near chance, ten standard deviations below the rest. A model
    that is fitted to such values spends itself on them; for choosing the best, only the order matters.

    Args:
        regressor: The regressor that learns the scores.
    """

    def __init__(self, regressor: Regressor) -> None:
        self.regressor = regressor

    def fit(self, x: Vectors, y: Floats) -> NormalScores:
        """See `Regressor`."""
        self.regressor.fit(x, normal_scores(y))
        return self

    def predict(self, x: Vectors) -> Belief:
        """See `Regressor`."""
        return self.regressor.predict(x)

    def state(self) -> State:
        """See `Regressor`."""
        return self.regressor.state()

    def restore(self, state: State, x: Vectors, y: Floats) -> NormalScores:
        """See `Regressor`."""
        self.regressor.restore(state, x, normal_scores(y))
        return self
