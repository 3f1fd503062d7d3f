"""The strategy `reduction.snare`: greedy layer by layer, with a step of its own for every layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from nasplug.contract.errors import SpecError
from nasplug.contract.jsondata import JsonObject
from nasplug.contract.records import Trial
from nasplug.ledger.work import Work
from nasplug_reduction.layout import WIDTH
from nasplug_reduction.strategies.course import CANDIDATE, ORIGINAL, Keep, Reduction, Result, Search
from nasplug_reduction.strategies.routine import ROLE, Facts, space_of, value

if TYPE_CHECKING:
    from nasplug.ledger.view import StudyView

#: A layer whose step is as small as this, in per cent, leaves the search.
LEAST = 2


class Snare(Reduction):
    """Shrinks the most promising layer by its own step, and makes that step smaller whenever too much is lost.

    Each layer has a step p in per cent. The layer with the largest `p (n_l / n + beta P_l / 2P + gamma F_l / 2F)` is
    tried next: shares of its channels n, and of the parameters P and multiply-accumulates F of all that its channels
    touch. It loses p % of its channels, and in a second trial p / 2 %; the larger cut whose metric is at most
    `threshold` below the original's is kept, otherwise p is divided by four. Layers leave at p <= 2. Source: SNARE
    (`snare-ml` 0.1.0), for which layers are neurons of sequential Keras models.

    Differences: channels leave by the importance of the space instead of their gradients; residual blocks are layers
    that can only leave as a whole; the search ends at the budget, and where all layers have left before, the rest of
    the way to the budget is taken from all of them alike.

    Args:
        keep: Share of the original network's parameters, such as 0.25, or shares by cost: `{macs: 0.5}`.
        at_most: Largest values by cost, such as `{npu/latency_s: 0.002}`.
        final_epochs: Number of epochs that the found network is trained in the end.
        compare: Whether to train the uniform network too, for as many epochs as the found one in all.
        threshold: Loss of the metric against the original that a cut may have.
        step: First step of every layer in per cent.
        beta: Weight of the parameters.
        gamma: Weight of the multiply-accumulates.
        candidate_epochs: Number of epochs before a cut is scored; 0 recalibrates only.
        generations: Largest number of layers that are tried, one after the other.

    Raises:
        SpecError: The budget is missing, or a number is out of range.
    """

    nasplug_conformance: ClassVar[Mapping[str, Any]] = {**Reduction.nasplug_conformance, "trials": 8}

    def __init__(
        self,
        keep: Keep | None = None,
        at_most: Mapping[str, float] | None = None,
        final_epochs: int = 10,
        compare: bool = True,
        threshold: float = 0.02,
        step: int = 64,
        beta: float = 1.0,
        gamma: float = 1.0,
        candidate_epochs: int = 1,
        generations: int = 40,
    ) -> None:
        super().__init__(keep, at_most, final_epochs, compare)
        if not LEAST < step < 100:
            raise SpecError(f"step must lie between {LEAST} and 100 %, got {step}", where="reduction.snare")
        if min(threshold, beta, gamma, candidate_epochs) < 0 or generations < 1:
            raise SpecError(
                "threshold, beta, gamma and candidate_epochs must be >= 0, generations >= 1, got "
                f"{threshold:g}, {beta:g}, {gamma:g}, {candidate_epochs} and {generations}",
                where="reduction.snare",
            )
        self.threshold, self.step, self.beta, self.gamma = threshold, step, beta, gamma
        self.candidate_epochs, self.generations = candidate_epochs, generations

    def most_trials(self, groups: int) -> int:
        """Largest number of trials of the strategy."""
        return 3 + 2 * self.generations

    @classmethod
    def nasplug_examples(cls) -> list[JsonObject]:
        """What `nasplug test-plugin` tries the strategy with."""
        return [{"keep": 0.2, "generations": 8, "threshold": 0.0, "final_epochs": 1}]

    def search(self, study: StudyView, facts: Facts) -> Search:
        """Shrinks layer by layer."""
        space = space_of(study)
        first = next(trial for trial in study.trials if trial.proposal.info.get(ROLE) == ORIGINAL)
        needed = value(study, first) - self.threshold
        steps: dict[str, int] = {}
        now, weights, epochs = [int(index) for index in space.vector(space.full)], None, 0
        for _ in range(self.generations):
            shares = yield Work("nasplug_reduction.stepping:shares", {"vector": now, "limits": dict(facts["limits"])})
            if shares is None:
                return Result(space.from_vector(now), weights, epochs)
            layer = self._next(shares, steps)
            if layer is None:
                break
            cuts = self._cuts(study, layer, now, steps[layer])
            trials: list[Trial] = yield [
                study.proposal(
                    space.from_vector(vector),
                    epochs=self.candidate_epochs,
                    weights_of=weights,
                    role=CANDIDATE,
                    layer=layer,
                    step=step,
                )
                for step, vector in cuts
            ]
            for (step, vector), trial in zip(cuts, trials, strict=True):
                if trial.state == "complete" and value(study, trial) >= needed:
                    now, steps[layer] = vector, step
                    if self.candidate_epochs:
                        weights, epochs = trial, epochs + self.candidate_epochs
                    break
            else:
                steps[layer] = steps[layer] >> 2 if layer.startswith(WIDTH) else 0
        rest = yield Work("nasplug_reduction.stepping:scaled", {"vector": now, "limits": dict(facts["limits"])})
        return None if rest is None else Result(space.from_vector(rest), weights, epochs)

    def _next(self, shares: Mapping[str, Mapping[str, float]], steps: dict[str, int]) -> str | None:
        """The layer with the best score; None where all have left."""
        best: tuple[float, str] | None = None
        for layer, share in shares.items():
            step = steps.setdefault(layer, self.step)
            if step <= LEAST:
                continue
            score = step * (share["channels"] + self.beta * share["params"] / 2 + self.gamma * share["macs"] / 2)
            if best is None or score > best[0]:
                best = (score, layer)
        return None if best is None else best[1]

    def _cuts(self, study: StudyView, layer: str, now: list[int], step: int) -> list[tuple[int, list[int]]]:
        """The networks without p % and p / 2 % of a layer's channels, the smaller network first."""
        position, options = choice_of(study, layer)
        if not layer.startswith(WIDTH):
            return [(step, [*now[:position], 0, *now[position + 1 :]])]
        found: list[tuple[int, list[int]]] = []
        for part in (step, step // 2):
            width = options[now[position]] * (1 - part / 100)
            index = max((i for i in range(now[position]) if options[i] <= width), default=0)
            vector = [*now[:position], index, *now[position + 1 :]]
            if all(vector != other for _, other in found):
                found.append((part, vector))
        return found


def choice_of(study: StudyView, name: str) -> tuple[int, tuple[int, ...]]:
    """Returns position and options of a choice of the space."""
    from nasplug_reduction.planning import reduction_of

    choices = reduction_of(study.space).choices
    position = next(index for index, choice in enumerate(choices) if choice.name == name)
    return position, choices[position].options  # type: ignore[return-value]
