"""The best combinations of independent choices whose costs add up to a budget, by dynamic programming."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

#: Steps of the budget. Costs are rounded to them on the way, and counted exactly at the end.
BINS = 8192


def best_within(
    scores: Sequence[Sequence[float]], costs: Sequence[Sequence[float]], low: float, high: float, bins: int = BINS
) -> Iterator[tuple[int, ...]]:
    """Yields combinations with a total cost between two bounds, the highest total score first, one for every cost.

    A multiple-choice knapsack (Kellerer, Pferschy and Pisinger, Knapsack Problems, 2004, chapter 11): the table holds
    the best score for every cost in steps of `high / bins`. Costs within half a step of each other are not told apart
    at any choice, so a combination that is better by less than that may be missed; one outside of the bounds is never
    given.

    Args:
        scores: Scores of the options of every choice, such as logarithms of probabilities.
        costs: Costs >= 0 of the options of every choice.
        low: Smallest total cost.
        high: Largest total cost.
        bins: Number of steps.

    Yields:
        The index of the option for every choice.
    """
    if high < 0 or low > high:
        return
    step = high / bins if high > 0 else 1.0
    spare = len(costs) // 2 + 1  # what rounding may add up to
    size = bins + spare + 1
    best = np.full(size, -np.inf)
    best[0] = 0.0
    taken: list[npt.NDArray[np.int64]] = []
    widths = [np.rint(np.asarray(each, dtype=float) / step).astype(np.int64) for each in costs]
    for option_scores, option_widths in zip(scores, widths, strict=True):
        after, chosen = np.full(size, -np.inf), np.full(size, -1, dtype=np.int64)
        for index, (score, width) in enumerate(zip(option_scores, option_widths, strict=True)):
            if width < size:
                moved = best[: size - width] + score
                better = moved > after[width:]
                after[width:][better] = moved[better]
                chosen[width:][better] = index
        taken.append(chosen)
        best = after
    for end in np.argsort(-best, kind="stable"):
        if not np.isfinite(best[end]):
            return
        place, indices = int(end), []
        for layer in range(len(widths) - 1, -1, -1):
            index = int(taken[layer][place])
            indices.append(index)
            place -= int(widths[layer][index])
        combination = tuple(reversed(indices))
        if low <= sum(costs[layer][index] for layer, index in enumerate(combination)) <= high:
            yield combination
