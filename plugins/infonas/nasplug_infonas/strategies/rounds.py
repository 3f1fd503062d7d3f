"""Strategies that decide several trials at once and learn when all of them are measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.protocols import HasGraph
from nasplug.contract.records import Proposal, Trial
from nasplug.ledger.study import Study
from nasplug_infonas.embedder import Embedder, Kind
from nasplug_infonas.isolation import limited
from nasplug_infonas.strategies.embedded import EmbeddedSpace, open_embedder


class EmbeddingSearch(ABC):
    """Searches among the embedded architectures of a space, in rounds.

    A round is decided at once, handed out as trials are wanted, and followed by the next one when all its trials are
    finished. What is proposed so depends on results alone. Nothing is proposed twice; when every architecture was
    proposed, the search ends. A resumed run replays the search.

    Args:
        encoder: File of a pretrained encoder, or an encoder; None trains a small one on the fly.
        kind: Which embedding.
        vectors: File of the space's vectors, from `nasplug infonas embed`; None computes them.
        cloud: The embedded space itself, for several searches in one process.
    """

    requires = (HasGraph,)
    #: Key of `proposal.info` with the number of the round.
    label = "round"

    def __init__(
        self,
        encoder: str | Embedder | None,
        kind: Kind,
        vectors: str | None,
        cloud: EmbeddedSpace | None,
    ) -> None:
        self.encoder, self.kind, self.vectors = encoder, kind, vectors
        self._cloud = cloud
        self._taken: NDArray[np.bool_] | None = None
        self._plan: list[int] = []
        self._handed_out = 0
        self._round = -1
        self._results: dict[int, Trial] = {}

    @abstractmethod
    def decide(self, study: Study, cloud: EmbeddedSpace, number: int) -> list[int]:
        """Rows of the next round, all different and none of them taken; mark them with :meth:`take`."""

    @abstractmethod
    def learn(self, study: Study, trials: list[Trial]) -> None:
        """Takes the finished trials of a round, in the order of the plan."""

    @hookimpl
    def propose(self, study: Study, count: int) -> list[Proposal]:
        """The next trials of the round; `[]` while its last ones are measured, or when the space is used up."""
        cloud = self._open(study)
        if self._handed_out == len(self._plan):
            if len(self._results) < len(self._plan):
                return []
            for trial in (*study.trials, *study.pending):
                self._avoid(cloud, trial)
            self._round += 1
            with limited():
                self._plan = self.decide(study, cloud, self._round)
            self._handed_out, self._results = 0, {}
        start = self._handed_out
        self._handed_out = min(start + count, len(self._plan))
        return [
            Proposal(cloud.architectures[self._plan[step]], info={self.label: self._round, "step": step})
            for step in range(start, self._handed_out)
        ]

    @hookimpl
    def observe(self, study: Study, trial: Trial) -> None:
        """Keeps the result; the last one of a round teaches."""
        info = trial.proposal.info
        if info.get(self.label) != self._round or "step" not in info:
            return
        self._results[info["step"]] = trial
        if len(self._results) == len(self._plan):
            with limited():
                self.learn(study, [self._results[step] for step in range(len(self._plan))])

    def take(self, row: int) -> int:
        """Marks a row as proposed, and returns it."""
        self.taken[row] = True
        return row

    @property
    def taken(self) -> NDArray[np.bool_]:
        """Which rows were proposed, by anybody: bool (N,)."""
        assert self._taken is not None
        return self._taken

    def draw(self, rng: np.random.Generator, count: int) -> list[int]:
        """Random rows that are not taken, which they are now."""
        free = np.flatnonzero(~self.taken)
        return [self.take(row) for row in rng.choice(free, min(count, len(free)), replace=False).tolist()]

    def _open(self, study: Study) -> EmbeddedSpace:
        if self._taken is None:
            if len(study.objectives) > 1:
                raise SpecError(
                    "this search has one objective",
                    where=type(self).__name__,
                    fix="give one objective and constraints, or use infonas.screen over a strategy that takes several",
                )
            if self._cloud is None:
                embedder = open_embedder(self.encoder, study.space)
                self._cloud = EmbeddedSpace.of(study.space, embedder, self.kind, vectors=self.vectors)
            self._taken = np.zeros(len(self._cloud), dtype=np.bool_)
        assert self._cloud is not None
        return self._cloud

    def _avoid(self, cloud: EmbeddedSpace, trial: Trial) -> None:
        row = cloud.row(trial.architecture)
        if row is not None:
            self.taken[row] = True


def at_least_one(where: str, **numbers: Any) -> None:
    """Refuses counts below 1.

    Raises:
        SpecError: One of them is too small.
    """
    for name, value in numbers.items():
        if value < 1:
            raise SpecError(f"{name} is {value}, less than 1", where=where)
