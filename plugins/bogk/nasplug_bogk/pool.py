"""Candidates for the next evaluation: mutants of good architectures, and random ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nasplug.contract.protocols import Mutates
from nasplug.contract.records import Architecture
from nasplug_bogk.kernels.embedding import Array

#: Gives every architecture a worth, float64 (n,).
Score = Callable[[Sequence[Architecture]], Array]


class Pool:
    """Finds an architecture of high worth that was not proposed before.

    A pool is drawn, half of it mutants of the best architectures known and half random, and scored. If asked for, the
    candidates with the highest worth are then mutated themselves for some rounds, and their mutants join the pool. That
    climbs on the worth, which costs no evaluation, and leads away from what is known to be good, to where a kernel
    knows little: with most kernels results are better without. On a space that does not mutate all are random.

    Args:
        size: Candidates that are drawn at first.
        random_share: Part of them that is random.
        rounds: Number of times that the best candidates are mutated.
        climbers: Number of candidates mutated in each round.
        mutants: Mutants of each.
        continuation: Probability that a mutant is mutated once more; the number of edits is geometric.
    """

    def __init__(
        self,
        size: int = 200,
        random_share: float = 0.5,
        rounds: int = 0,
        climbers: int = 10,
        mutants: int = 5,
        continuation: float = 0.3,
    ) -> None:
        self.size, self.random_share, self.rounds = size, random_share, rounds
        self.climbers, self.mutants, self.continuation = climbers, mutants, continuation

    def draw(
        self, space: Any, parents: Sequence[Architecture], seen: set[str], rng: np.random.Generator
    ) -> list[Architecture]:
        """The first candidates: distinct, and none of them seen; fewer than asked for in a space nearly used up."""
        found: dict[str, Architecture] = {}
        if parents and isinstance(space, Mutates):
            mutants = self.size - round(self.size * self.random_share)
            for attempt in range(3 * mutants):
                if len(found) == mutants:
                    break
                self._keep(self._mutant(space, parents[attempt % len(parents)], rng), found, seen)
        for _ in range(3 * self.size):
            if len(found) >= self.size:
                break
            self._keep(space.sample(rng), found, seen)
        return list(found.values())

    def best(
        self, space: Any, parents: Sequence[Architecture], seen: set[str], rng: np.random.Generator, score: Score
    ) -> Architecture | None:
        """The candidate with the highest worth, the earlier one of equals; None if nothing new is found."""
        candidates = self.draw(space, parents, seen, rng)
        if not candidates:
            return None
        worth = score(candidates)
        if not isinstance(space, Mutates):
            return candidates[int(np.argmax(worth))]
        known = {candidate.key for candidate in candidates}
        for _ in range(self.rounds):
            order = np.argsort(-worth, kind="stable")[: self.climbers]
            fresh: dict[str, Architecture] = {}
            for index in order:
                for _ in range(self.mutants):
                    self._keep(self._mutant(space, candidates[index], rng), fresh, seen | known)
            if not fresh:
                break
            known.update(fresh)
            candidates = [*candidates, *fresh.values()]
            worth = np.concatenate([worth, score(list(fresh.values()))])
        return candidates[int(np.argmax(worth))]

    def _mutant(self, space: Any, parent: Architecture, rng: np.random.Generator) -> Architecture:
        mutant: Architecture = space.mutate(parent, rng)
        while rng.random() < self.continuation:
            mutant = space.mutate(mutant, rng)
        return mutant

    @staticmethod
    def _keep(candidate: Architecture, found: dict[str, Architecture], seen: set[str]) -> None:
        if candidate.key not in seen:
            found.setdefault(candidate.key, candidate)
