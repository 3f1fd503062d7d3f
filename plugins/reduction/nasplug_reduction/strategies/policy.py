"""The strategy `reduction.policy`: two policies learn which blocks go, then how wide the layers are."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from nasplug.contract.errors import SpecError
from nasplug.contract.jsondata import Json, JsonObject
from nasplug.contract.records import Proposal, Trial
from nasplug.ledger.work import Work
from nasplug_reduction.planning import reduction_of
from nasplug_reduction.strategies.course import CANDIDATE, ORIGINAL, Keep, Reduction, Result, Search
from nasplug_reduction.strategies.routine import ROLE, Facts, space_of, value

if TYPE_CHECKING:
    from nasplug.ledger.view import StudyView


#: Reward of actions from which no network of the budget can be made, and of networks that fail.
BROKEN = -1.0


class Policy(Reduction):
    """Learns by policy gradient which residual blocks to take out, then how wide to leave each layer.

    The reward of a network is `C (2 - C) a`: C is the share of the parameters, or of whatever else has a limit, that is
    gone, and a its metric as a share of the original's. Source: N2N learning (Ashok et al., ICLR 2018,
    arXiv 1709.06030).

    Differences: every network is scaled to use up the budget, so that all rollouts are comparable, and one that cannot
    has the reward -1; networks are scored after recalibration by default, with the callback `reduction.distillation`
    wherever they are trained.

    Args:
        keep: Share of the original network's parameters, such as 0.25, or shares by cost: `{macs: 0.5}`.
        at_most: Largest values by cost, such as `{npu/latency_s: 0.002}`.
        final_epochs: Number of epochs that the found network is trained in the end.
        compare: Whether to train the uniform network too, for as many epochs as the found one in all.
        removal_episodes: Number of episodes of the policy that removes blocks; spaces without blocks skip them.
        episodes: Number of episodes of the policy that shrinks layers.
        rollouts: Number of networks of an episode.
        candidate_epochs: Number of epochs before a network is scored; 0 recalibrates only.
        lr: Learning rate of the policies.

    Raises:
        SpecError: The budget is missing, or a number is out of range.
    """

    nasplug_conformance: ClassVar[Mapping[str, Any]] = {
        **Reduction.nasplug_conformance,
        "trials": 10,
        "stochastic": True,
    }

    def __init__(
        self,
        keep: Keep | None = None,
        at_most: Mapping[str, float] | None = None,
        final_epochs: int = 10,
        compare: bool = True,
        removal_episodes: int = 4,
        episodes: int = 12,
        rollouts: int = 5,
        candidate_epochs: int = 0,
        lr: float = 0.03,
    ) -> None:
        super().__init__(keep, at_most, final_epochs, compare)
        if min(episodes, rollouts) < 1 or min(removal_episodes, candidate_epochs) < 0 or not lr > 0:
            raise SpecError(
                "episodes and rollouts must be >= 1, removal_episodes and candidate_epochs >= 0, lr > 0, got "
                f"{episodes}, {rollouts}, {removal_episodes}, {candidate_epochs} and {lr:g}",
                where="reduction.policy",
            )
        self.removal_episodes, self.episodes, self.rollouts = removal_episodes, episodes, rollouts
        self.candidate_epochs, self.lr = candidate_epochs, lr

    def most_trials(self, groups: int) -> int:
        """Largest number of trials of the strategy."""
        return 3 + (self.removal_episodes + self.episodes) * self.rollouts

    @classmethod
    def nasplug_examples(cls) -> list[JsonObject]:
        """What `nasplug test-plugin` tries the strategy with."""
        return [{"keep": 0.3, "removal_episodes": 1, "episodes": 2, "rollouts": 3, "final_epochs": 1}]

    def search(self, study: StudyView, facts: Facts) -> Search:
        """Removes, then shrinks."""
        space = reduction_of(study.space)
        kept = [int(index) for index in space.vector(space.full)[len(space.groups) :]]
        best: tuple[float, list[int], Trial] | None = None
        if space.blocks and self.removal_episodes:
            best = yield from self._stage(study, facts, "removal", self.removal_episodes, kept, None)
            if best is not None:
                kept = best[1][len(space.groups) :]
        best = yield from self._stage(study, facts, "shrinkage", self.episodes, kept, best)
        if best is None:
            return None
        _, vector, trial = best
        return Result(space.from_vector(vector), trial if self.candidate_epochs else None, self.candidate_epochs)

    def _stage(
        self,
        study: StudyView,
        facts: Facts,
        stage: str,
        episodes: int,
        kept: list[int],
        best: tuple[float, list[int], Trial] | None,
    ) -> Generator[Work | list[Proposal], Any, tuple[float, list[int], Trial] | None]:
        """The episodes of one policy; the best network so far."""
        space, history = space_of(study), list[Any]()
        for episode in range(episodes):
            arguments: dict[str, Json] = {"stage": stage, "history": list(history), "kept": list(kept), "lr": self.lr}
            arguments |= {"limits": dict(facts["limits"]), "count": self.rollouts}
            drawn = yield Work("nasplug_reduction.policy:roll", arguments)
            made = [rollout for rollout in drawn if rollout["vector"] is not None]
            trials = (
                (
                    yield [
                        study.proposal(
                            space.from_vector(rollout["vector"]),
                            epochs=self.candidate_epochs,
                            role=CANDIDATE,
                            stage=stage,
                            episode=episode,
                        )
                        for rollout in made
                    ]
                )
                if made
                else []
            )
            rewards = iter([self._reward(study, facts, trial) for trial in trials])
            history.append(
                [
                    {"actions": rollout["actions"], "reward": BROKEN if rollout["vector"] is None else next(rewards)}
                    for rollout in drawn
                ]
            )
            for rollout, trial in zip(made, trials, strict=True):
                score = value(study, trial)
                if score > float("-inf") and (best is None or score > best[0]):
                    best = (score, rollout["vector"], trial)
        return best

    def _reward(self, study: StudyView, facts: Facts, trial: Trial) -> float:
        """C (2 - C) a of a trial."""
        score = value(study, trial)
        if not math.isfinite(score):
            return BROKEN
        first = next(each for each in study.trials if each.proposal.info.get(ROLE) == ORIGINAL)
        whole = value(study, first)
        relative = 1.0  # of an original that has no metric
        if math.isfinite(whole):
            relative = score / whole if whole > 0 else whole / min(score, -1e-12)
        left = max(limit / facts["original"][name] for name, limit in facts["limits"].items())
        gone = 1 - min(left, 1.0)
        return float(gone * (2 - gone) * relative)
