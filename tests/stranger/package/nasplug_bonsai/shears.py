"""Cuts the best network back."""

from __future__ import annotations

from typing import Any

import nasplug as nas


class Shears:
    """Proposes a random neighbour of the best network so far, the smaller of two; random ones at first.

    Args:
        start: Random networks at the beginning.
    """

    requires = (nas.HasNeighbours,)

    def __init__(self, start: int = 3) -> None:
        self.start = start

    @nas.hookimpl
    def propose(self, study: nas.StudyView, count: int) -> list[nas.Proposal]:
        """One proposal at a time, which depends on finished trials and its number alone."""
        rng = study.rng("bonsai.shears", study.proposed)
        done = [trial for trial in study.trials if study.is_candidate(trial)]
        if study.proposed < self.start or not done:
            return [study.proposal(study.space.sample(rng))]
        if study.pending:
            return []
        space: Any = study.space
        near = space.neighbours(max(done, key=study.score).architecture)
        picked = [near[int(rng.integers(len(near)))] for _ in range(2)]
        return [study.proposal(min(picked, key=lambda each: sum(each.genotype)))]
