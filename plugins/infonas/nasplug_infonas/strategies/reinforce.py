"""REINFORCE in the embedding: a policy that walks from architecture to architecture."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from nasplug.contract.errors import SpecError
from nasplug.contract.records import Trial
from nasplug.ledger.rng import derived_seed
from nasplug.ledger.study import Study
from nasplug_infonas.embedder import Embedder, Kind
from nasplug_infonas.isolation import isolated
from nasplug_infonas.strategies.embedded import EmbeddedSpace
from nasplug_infonas.strategies.rounds import EmbeddingSearch, at_least_one

Baseline = Literal["best", "mean"]


class Policy(nn.Module):
    """An LSTM cell that answers, in a point of the embedding, the mean of where to go.

    Args:
        size: Numbers in a vector.
        hidden: Width of the cell.
    """

    def __init__(self, size: int, hidden: int = 128) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(size, hidden)
        self.mean = nn.Linear(hidden, size)

    def forward(self, point: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """One step from points (B, size): the means (B, size) and the state for the next step."""
        state = self.cell(point, state)
        return self.mean(state[0]), state


class EmbeddingReinforce(EmbeddingSearch):
    """Walks through the embedding with a policy that REINFORCE improves (Williams, 1992; Yan et al., NeurIPS 2020).

    From the vector of the current architecture the policy answers a mean m; an action is drawn from N(m, I), and the
    nearest architecture that was not proposed yet is taken, evaluated, and walked on from. An episode has `episode`
    steps and starts at a random architecture, which is not evaluated, with a fresh memory. After it, one step of Adam
    follows the gradient of mean_t (-log N(a_t; m_t, I) / d * (r_t - b)). Vectors are brought to mean 0 and standard
    deviation 1 per dimension before, so that the unit deviation of actions fits any encoder.

    The published baseline b is 0.95, about the best network of NAS-Bench-101. Here it comes from the results: `mean` is
    the mean of all so far, and `best` the best of them, which is what that constant amounts to.

    A failed, stopped or infeasible trial counts as the worst result so far.

    Args:
        encoder: File of a pretrained encoder (`nasplug infonas pretrain`), or an encoder. None trains a small one when
            the search starts, which takes seconds and gives worse embeddings.
        kind: Embedding: mean, codes or dense.
        episode: Steps of an episode.
        lr: Adam's learning rate.
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
        self._scores: list[float] = []

    def decide(self, study: Study, cloud: EmbeddedSpace, number: int) -> list[int]:
        """Walks an episode; nothing needs to be measured on the way."""
        if self._policy is None:
            self._start(study, cloud)
        assert self._policy is not None
        rng = study.rng("infonas.reinforce.walk", number)
        point = self._scaled[int(rng.integers(len(cloud)))]
        self._points, self._actions = [], []
        plan: list[int] = []
        state = None
        while len(plan) < self.episode:
            with torch.inference_mode():
                mean, state = self._policy(torch.from_numpy(point)[None], state)
            action = (mean[0].numpy() + rng.standard_normal(len(point))).astype(np.float32)
            row = self._near.nearest(action, self.taken)
            if row is None:
                break
            plan.append(self.take(row))
            self._points.append(point)
            self._actions.append(action)
            point = self._scaled[row]
        return plan

    def learn(self, study: Study, trials: list[Trial]) -> None:
        """One step of the policy."""
        assert self._policy is not None
        scores = [study.score(trial) for trial in trials]
        self._scores += [score for score in scores if math.isfinite(score)]
        if not self._scores:
            return
        worst = min(self._scores)
        baseline = max(self._scores) if self.baseline == "best" else float(np.mean(self._scores))
        advantages = torch.tensor([(score if math.isfinite(score) else worst) - baseline for score in scores])
        losses, state = [], None
        for point, action in zip(self._points, self._actions, strict=True):
            mean, state = self._policy(torch.from_numpy(point)[None], state)
            # Minus the logarithm of the density per dimension, up to a constant.
            losses.append(0.5 * (torch.from_numpy(action) - mean[0]).square().mean())
        loss = (torch.stack(losses) * advantages.float()).mean()
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()

    def _start(self, study: Study, cloud: EmbeddedSpace) -> None:
        vectors = cloud.vectors
        deviation = vectors.std(axis=0)
        self._scaled = (vectors - vectors.mean(axis=0)) / np.where(deviation > 1e-6, deviation, 1.0).astype(np.float32)
        self._near = EmbeddedSpace(cloud.architectures, self._scaled)
        with isolated(derived_seed(study.seed, "infonas.reinforce.policy")):
            self._policy = Policy(vectors.shape[1])
        self._optimizer = torch.optim.Adam(self._policy.parameters(), self.lr)
