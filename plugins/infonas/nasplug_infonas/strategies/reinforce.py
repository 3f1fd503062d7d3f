"""REINFORCE in the embedding: a policy that walks from architecture to architecture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import SpecError
from nasplug.contract.records import Trial
from nasplug.ledger.rng import derived_seed
from nasplug.ledger.view import StudyView
from nasplug.ledger.work import Work
from nasplug_infonas.embedder import Embedder, Kind
from nasplug_infonas.isolation import limited
from nasplug_infonas.strategies.embedded import EmbeddedSpace
from nasplug_infonas.strategies.rounds import EmbeddingSearch, at_least_one

if TYPE_CHECKING:
    from nasplug_infonas.models.policy import Memory, Policy

Baseline = Literal["best", "mean"]


class EmbeddingReinforce(EmbeddingSearch):
    """Walks through the embedding with a policy that REINFORCE improves (Williams, 1992; Yan et al., NeurIPS 2020).

    From the vector of the current architecture the policy answers a mean m; an action is drawn from N(m, I), and the
    nearest architecture that was not proposed yet is taken, evaluated, and walked on from. An episode has `episode`
    steps and starts at a random architecture, which is not evaluated, with a fresh memory. After it, one step of Adam
    follows the gradient of mean_t (-log N(a_t; m_t, I) / d * (r_t - b)). Vectors are brought to mean 0 and standard
    deviation 1 per dimension before, so that the unit deviation of actions fits any encoder.

    The published baseline b is 0.95, about the best network of NAS-Bench-101. Here it comes from the results: `mean` is
    the mean of all so far, and `best` the best of them, which is what that constant amounts to.

    A failed, stopped or infeasible trial counts as the worst result so far. If a step of Adam fails, the policy walks
    on as it was, and the episode says so in `proposal.info["policy"]`.

    Args:
        encoder: File of a pretrained encoder (`nasplug infonas pretrain`), or an encoder. None has a small one trained
            when the search starts, which takes seconds and gives worse embeddings.
        kind: Embedding: mean, codes or dense.
        episode: Steps of an episode.
        lr: Learning rate of Adam.
        baseline: `best` or `mean`.
        vectors: File of the space's vectors (`nasplug infonas embed`).
        cloud: The embedded space itself, for several searches in one process.

    Raises:
        SpecError: A value is out of range.
    """

    label = "episode"

    def __init__(
        self,
        encoder: str | Embedder | None = None,
        kind: Kind = "mean",
        episode: int = 16,
        lr: float = 1e-2,
        baseline: Baseline = "mean",
        vectors: str | None = None,
        cloud: EmbeddedSpace | None = None,
    ) -> None:
        super().__init__(encoder, kind, vectors, cloud)
        at_least_one("infonas.reinforce", episode=episode)
        if baseline not in ("best", "mean"):
            raise SpecError(f"there is no baseline {baseline!r}", where="infonas.reinforce", fix="write best or mean")
        self.episode, self.lr, self.baseline = episode, lr, baseline
        self._policy: Policy | None = None
        self._made_by: str | None = None  # key of the work that improved the policy last
        self._scores: list[float] = []
        self._points: list[NDArray[np.float32]] = []
        self._actions: list[NDArray[np.float32]] = []

    def decide(self, study: StudyView, cloud: EmbeddedSpace, number: int, finished: list[Trial]) -> list[int] | None:
        """Learns from the last episode and walks the next one; nothing needs to be measured on the way."""
        if self._policy is None:
            self._policy = self._start(study, cloud)
        if finished and not self._learn(study, finished):
            return None
        with limited():
            return self._walk(self._policy, study.rng("infonas.reinforce.walk", number))

    def _walk(self, policy: Policy, rng: np.random.Generator) -> list[int]:
        import torch

        point = self._scaled[int(rng.integers(len(self._scaled)))]
        self._points, self._actions = [], []
        plan: list[int] = []
        memory: Memory = None
        while len(plan) < self.episode:
            with torch.inference_mode():
                mean, memory = policy(torch.from_numpy(point)[None], memory)
            action = (mean[0].numpy() + rng.standard_normal(len(point))).astype(np.float32)
            row = self._near.nearest(action, self.taken)
            if row is None:
                break
            plan.append(self.take(row))
            self._points.append(point)
            self._actions.append(action)
            point = self._scaled[row]
        return plan

    def _learn(self, study: StudyView, trials: list[Trial]) -> bool:
        """Has the policy improved by the results of an episode; False while that is not done."""
        results = [study.score(trial) for trial in trials]
        scores = [*self._scores, *(score for score in results if math.isfinite(score))]
        if not scores:
            return True
        worst = min(scores)
        baseline = max(scores) if self.baseline == "best" else float(np.mean(scores))
        walk = {
            "points": [point.tolist() for point in self._points],
            "actions": [action.tolist() for action in self._actions],
            "advantages": [(score if math.isfinite(score) else worst) - baseline for score in results],
        }
        size = self._scaled.shape[1]
        arguments = {"previous": self._made_by, "seed": self._seed(study), "size": size, "lr": self.lr, "walk": walk}
        outcome = study.work(Work("nasplug_infonas.work:improve_policy", arguments))
        if outcome is None:
            return False
        self._scores = scores
        if outcome.failure is not None:
            self.notes["policy"] = f"not improved by the last episode: {outcome.failure.message}"
            return True
        from nasplug_infonas.models.policy import load_policy

        self._made_by = outcome.key
        self._policy, _ = load_policy(study.work_folder(outcome.key) / outcome.result["file"], self.lr)
        return True

    def _start(self, study: StudyView, cloud: EmbeddedSpace) -> Policy:
        from nasplug_infonas.models.policy import new_policy

        vectors = cloud.vectors
        deviation = vectors.std(axis=0)
        self._scaled = (vectors - vectors.mean(axis=0)) / np.where(deviation > 1e-6, deviation, 1.0).astype(np.float32)
        self._near = EmbeddedSpace(cloud.architectures, self._scaled)
        return new_policy(self._seed(study), vectors.shape[1], self.lr)[0]

    def _seed(self, study: StudyView) -> int:
        return derived_seed(study.seed, "infonas.reinforce.policy")
