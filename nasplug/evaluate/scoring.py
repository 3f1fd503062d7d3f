"""Which epochs of a training count, and which of them is the best."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Container, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Generic, Literal, TypeVar

from nasplug.contract.errors import SpecError
from nasplug.contract.records import Measurement, Objective

Kept = TypeVar("Kept")
ScoreName = Literal["best", "last", "mean"]


@dataclass(frozen=True, slots=True)
class Scoring:
    """How the measurements of a training become one result.

    Attributes:
        score: All metrics of the best epoch, of the last epoch, or the mean of each metric over the epochs.
        window: Number of last measurements that count; None means all.
    """

    score: ScoreName = "best"
    window: int | None = None

    def __post_init__(self) -> None:
        if self.score not in ("best", "last", "mean"):
            raise SpecError(f"there is no score {self.score!r}", where="evaluator", fix="write best, last or mean")
        if self.window is not None and self.window < 1:
            raise SpecError(f"a window of {self.window} measurements is empty", where="evaluator.window")

    def result(self, measurements: Sequence[Measurement], best: int | None) -> dict[str, float]:
        """The metrics of the whole training.

        Args:
            measurements: Measurements in order, at least one.
            best: Step of the best epoch among those that count; None if no epoch could be compared.
        """
        counted = measurements if self.window is None else measurements[-self.window :]
        if self.score == "best" and best is not None:
            return dict(next(item.metrics for item in measurements if item.step == best))
        if self.score == "mean":
            names = [name for name in counted[-1].metrics if all(name in item.metrics for item in counted)]
            return {name: fmean(item.metrics[name] for item in counted) for name in names}
        return dict(counted[-1].metrics)


def main_objective(objectives: Sequence[Objective], metrics: Container[str]) -> Objective | None:
    """The first objective that the training measures; the others are costs."""
    return next((objective for objective in objectives if objective.name in metrics), None)


class Best(Generic[Kept]):
    """The best of the last `window` epochs, with something to keep for it, such as its weights.

    A sliding maximum: an epoch is forgotten as soon as a later one is better, or when it leaves the window. So usually
    few are kept, and without a window never more than one.

    Args:
        window: Number of epochs; None means all.
    """

    def __init__(self, window: int | None = None) -> None:
        self._window = window
        self._kept: deque[tuple[int, float, Kept | None]] = deque()
        self._offered: deque[int] = deque(maxlen=window) if window else deque(maxlen=1)

    def wants(self, value: float) -> bool:
        """Whether `offer` would keep this value, were it offered now."""
        return not math.isnan(value) and (self._window is not None or not self._kept or value > self._kept[0][1])

    def offer(self, step: int, value: float, kept: Kept | None = None) -> None:
        """Adds an epoch.

        Args:
            step: Number of the step, larger than those before.
            value: Larger is better; NaN is never the best.
            kept: Object to return if this epoch is the best in the end.
        """
        self._offered.append(step)
        if self.wants(value):
            if self._window is None:
                self._kept.clear()
            # The earlier of two equal epochs wins, as it does without a window.
            while self._kept and self._kept[-1][1] < value:
                self._kept.pop()
            self._kept.append((step, value, kept))
        while self._window is not None and self._kept and self._kept[0][0] < self._offered[0]:
            self._kept.popleft()

    def clear(self) -> None:
        """Forgets everything."""
        self._kept.clear()
        self._offered.clear()

    @property
    def step(self) -> int | None:
        """Number of the best epoch, None if there is none."""
        return self._kept[0][0] if self._kept else None

    @property
    def kept(self) -> Kept | None:
        """What was offered with the best epoch."""
        return self._kept[0][2] if self._kept else None
