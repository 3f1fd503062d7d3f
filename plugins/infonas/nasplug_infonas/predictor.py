"""Predicts the performance of architectures from their embeddings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, pearsonr, spearmanr

from nasplug.contract.errors import StudyError
from nasplug.contract.records import Architecture
from nasplug.contract.wording import plural
from nasplug_infonas.embedder import Embedder, Kind
from nasplug_infonas.regressors import Belief, RegressorName, make_regressor


class Predictor:
    """A regressor on the embeddings of a space's architectures.

    Example:
        >>> predictor = Predictor(Embedder.load("enc.safetensors"), space).fit(known, accuracies)
        >>> predictor.predict(others).mean

    Args:
        embedder: Turns graphs into vectors.
        space: A space with graphs.
        regressor: `forest`, `gp` or `dngo`.
        kind: Kind of embedding.
        seed: Seed of the regressor.
    """

    def __init__(
        self, embedder: Embedder, space: Any, regressor: RegressorName = "forest", kind: Kind = "mean", seed: int = 0
    ) -> None:
        self.embedder, self.space, self.kind = embedder, space, kind
        self.regressor = make_regressor(regressor, seed)

    def embed(self, architectures: Iterable[Architecture]) -> NDArray[np.float64]:
        """Vectors float64 (N, d)."""
        return self.embedder.embed_space(self.space, architectures, self.kind).astype(np.float64)

    def fit(self, architectures: Sequence[Architecture], values: Sequence[float]) -> Predictor:
        """Learns from measured architectures, and returns itself.

        Raises:
            StudyError: There are none, or not as many values.
        """
        if not architectures or len(architectures) != len(values):
            raise StudyError(
                f"cannot fit {plural(len(architectures), 'architecture')} with {plural(len(values), 'value')}",
                where="Predictor.fit",
            )
        self.regressor.fit(self.embed(architectures), np.asarray(values, dtype=np.float64))
        return self

    def predict(self, architectures: Sequence[Architecture]) -> Belief:
        """What to expect of other architectures."""
        return self.regressor.predict(self.embed(architectures))


def agreement(predicted: Sequence[float], measured: Sequence[float]) -> Mapping[str, float]:
    """How well predictions agree with measurements: `pearson`, `spearman`, `kendall`, `rmse`."""
    first, second = np.asarray(predicted, dtype=np.float64), np.asarray(measured, dtype=np.float64)
    return {
        "pearson": float(pearsonr(first, second).statistic),
        "spearman": float(spearmanr(first, second).statistic),
        "kendall": float(kendalltau(first, second).statistic),
        "rmse": float(np.sqrt(np.mean((first - second) ** 2))),
    }
