"""Bayesian optimisation on embeddings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from nasplug.contract.records import Failure, Trial
from nasplug.ledger.rng import derived_seed
from nasplug.ledger.view import StudyView
from nasplug_infonas.embedder import Embedder, Kind
from nasplug_infonas.regressors import Belief, RegressorName, make_regressor
from nasplug_infonas.strategies.asking import ask_regressor
from nasplug_infonas.strategies.embedded import EmbeddedSpace
from nasplug_infonas.strategies.rounds import EmbeddingSearch, at_least_one


class EmbeddingBO(EmbeddingSearch):
    """Fits a model to the vectors of measured architectures, and takes those with the highest expected improvement.

    Yan et al. (NeurIPS 2020) do so on the mean codes of arch2vec with DNGO: `surrogate="dngo"`,
    `ranks=False`, `pool=None`. The defaults are what serves better: a Gaussian process that learns normal scores of the
    results.

    Failed, stopped and infeasible trials teach nothing and are not proposed again. A round whose model could not be
    fitted is drawn at random, and says so in `proposal.info["surrogate"]`.

    Args:
        encoder: File of a pretrained encoder (`nasplug infonas pretrain`), or an encoder. None has a small one trained
            when the search starts, which takes seconds and gives worse embeddings.
        kind: Embedding: mean, codes or dense.
        surrogate: The model: gp, dngo or forest.
        initial: Random architectures to begin with.
        per_round: Architectures per fit.
        pool: Architectures that are looked at per round, drawn anew each time; None looks at all.
        ranks: Learn normal scores of the results instead of the results.
        vectors: File of the space's vectors (`nasplug infonas embed`).
        cloud: The embedded space itself, for several searches in one process.

    Raises:
        SpecError: A count is less than 1.
    """

    def __init__(
        self,
        encoder: str | Embedder | None = None,
        kind: Kind = "mean",
        surrogate: RegressorName = "gp",
        initial: int = 16,
        per_round: int = 5,
        pool: int | None = 20_000,
        ranks: bool = True,
        vectors: str | None = None,
        cloud: EmbeddedSpace | None = None,
    ) -> None:
        super().__init__(encoder, kind, vectors, cloud)
        at_least_one("infonas.bo", initial=initial, per_round=per_round, pool=1 if pool is None else pool)
        make_regressor(surrogate)  # refuses an unknown one now
        self.surrogate, self.initial, self.per_round, self.ranks = surrogate, initial, per_round, ranks
        self.pool = pool

    def decide(self, study: StudyView, cloud: EmbeddedSpace, number: int, finished: list[Trial]) -> list[int] | None:
        """Random ones first, and while fewer than two results are good for a fit; then the most promising ones."""
        known = [(cloud.row(trial.architecture), study.score(trial)) for trial in study.candidates()]
        rows = [row for row, _ in known if row is not None]
        scores = np.array([score for row, score in known if row is not None])
        if number == 0:
            return self.draw(study.rng("infonas.bo.initial"), self.initial)
        if len(set(scores.tolist())) < 2:
            return self.draw(study.rng("infonas.bo.random", number), self.per_round)
        seed = derived_seed(study.seed, "infonas.bo.surrogate", number)
        known_vectors = cloud.vectors[rows].astype(np.float64)
        model = ask_regressor(study, self.surrogate, known_vectors, scores, seed=seed, ranks=self.ranks)
        if model is None:
            return None
        if isinstance(model, Failure):
            self.notes["surrogate"] = f"failed, so this round is random: {model.message}"
            return self.draw(study.rng("infonas.bo.random", number), self.per_round)
        free = np.flatnonzero(~self.taken)
        if self.pool is not None and len(free) > self.pool:
            free = np.sort(study.rng("infonas.bo.pool", number).choice(free, self.pool, replace=False))
        best = model.predict(known_vectors).mean.max()
        gain = expected_improvement(model.predict(cloud.vectors[free]), float(best))
        order = np.argsort(-gain, kind="stable")[: self.per_round]
        return [self.take(row) for row in free[order].tolist()]


def expected_improvement(belief: Belief, best: float) -> NDArray[np.float64]:
    """Expected improvement over `best`, to be maximised (Mockus, 1975): s (z Phi(z) + phi(z)), z = (mean - best) / s.

    s is the standard deviation. The released code of arch2vec puts the variance there.

    Args:
        belief: Mean and standard deviation (N,).
        best: Best value so far.

    Returns:
        Float64 (N,).
    """
    deviation = np.maximum(belief.deviation, 1e-12)
    z = (belief.mean - best) / deviation
    found: NDArray[np.float64] = deviation * (z * norm.cdf(z) + norm.pdf(z))
    return found
