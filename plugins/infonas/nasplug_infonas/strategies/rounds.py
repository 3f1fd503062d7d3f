"""Strategies that decide several trials at once and learn when all of them are measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nasplug.contract.errors import SpecError
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.protocols import HasGraph
from nasplug.contract.records import Failure, Proposal, Trial
from nasplug.ledger.view import StudyView
from nasplug_infonas.embedder import Embedder, Kind
from nasplug_infonas.strategies.asking import ask_encoder
from nasplug_infonas.strategies.embedded import EmbeddedSpace


class EmbeddingSearch(ABC):
    """Searches among the embedded architectures of a space, in rounds.

    A round is decided at once, handed out as trials are wanted, and followed by the next one when all its trials are
    finished. What is proposed so depends on results alone. Nothing is proposed twice; when every architecture was
    proposed, the search ends. A resumed run replays the search.

    Nothing is trained here: encoder, surrogate and policy are work for the executor, for which a round waits. Without
    an encoder there is no search; the reason becomes a failed trial, and the last one.

    Args:
        encoder: File of a pretrained encoder, or an encoder; None has a small one trained.
        kind: Kind of embedding.
        vectors: File of the space's vectors, from `nasplug infonas embed`; None computes them.
        cloud: The embedded space itself, for several searches in one process.
    """

    requires = (HasGraph,)
    #: For `nasplug test-plugin`.
    nasplug_conformance: ClassVar[dict[str, object]] = {"several_objectives": False}
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
        self._gave_up = False
        #: Facts of the round for `proposal.info`, such as why it was not decided as it should have been.
        self.notes: dict[str, Any] = {}

    @abstractmethod
    def decide(self, study: StudyView, cloud: EmbeddedSpace, number: int, finished: list[Trial]) -> list[int] | None:
        """Decides a round, after learning from the one before.

        Args:
            study: The study.
            cloud: The embedded space.
            number: Number of the round, from 0.
            finished: Trials of the round before, in the order of its plan.

        Returns:
            Rows of the round, all different and none of them taken; mark them with `take`. None to wait for work: the
            same question is asked again when it is done.
        """

    @hookimpl
    def propose(self, study: StudyView, count: int) -> list[Proposal]:
        """The next trials of the round; `[]` while something is trained or measured, or when the space is used up."""
        cloud = self._open(study)
        if cloud is None:
            return []
        if isinstance(cloud, Failure):
            return self._give_up(study, cloud)
        if self._handed_out == len(self._plan):
            if len(self._results) < len(self._plan):
                return []
            for trial in (*study.trials, *study.pending):
                self._avoid(cloud, trial)
            self.notes = {}
            finished = [self._results[step] for step in range(len(self._plan))]
            plan = self.decide(study, cloud, self._round + 1, finished)
            if plan is None:
                return []
            self._round += 1
            self._plan, self._handed_out, self._results = plan, 0, {}
        start = self._handed_out
        self._handed_out = min(start + count, len(self._plan))
        return [
            Proposal(cloud.architectures[self._plan[step]], info={self.label: self._round, "step": step, **self.notes})
            for step in range(start, self._handed_out)
        ]

    @hookimpl
    def observe(self, study: StudyView, trial: Trial) -> None:
        """Keeps the result until the round is complete."""
        info = trial.proposal.info
        step = info.get("step")
        if info.get(self.label) == self._round and isinstance(step, int):
            self._results[step] = trial

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

    def _open(self, study: StudyView) -> EmbeddedSpace | Failure | None:
        if self._taken is None:
            if len(study.objectives) > 1:
                raise SpecError(
                    "this search has one objective",
                    where=type(self).__name__,
                    fix="give one objective and constraints, or use infonas.screen over a strategy that takes several",
                )
            if self._cloud is None:
                embedder = ask_encoder(study, self.encoder)
                if embedder is None or isinstance(embedder, Failure):
                    return embedder
                self._cloud = EmbeddedSpace.of(study.space, embedder, self.kind, vectors=self.vectors)
            self._taken = np.zeros(len(self._cloud), dtype=np.bool_)
        assert self._cloud is not None
        return self._cloud

    def _give_up(self, study: StudyView, failure: Failure) -> list[Proposal]:
        """One failed trial that says why there is no search."""
        if self._gave_up:
            return []
        self._gave_up = True
        return [study.proposal(study.space.sample(study.rng("infonas.failure")), failure=failure)]

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
