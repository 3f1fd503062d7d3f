"""Learning rates over the course of a search.

`inverted` starts near zero, while the weights are untrained, and is largest at the end; only its name is published (Wu,
TU Dresden 2024, chapter 4.4.3), the half cosine is our reading.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.tasks.curves import cosine

Schedule: TypeAlias = Literal["inverted", "constant", "cosine"]


def learning_rate(schedule: Schedule, progress: float, high: float, low: float = 0.0) -> float:
    """Returns the learning rate when a fraction of the search is done.

    Args:
        schedule: `cosine` falls from `high` to `low`, `inverted` rises from `low` to `high`, both on half a cosine;
            `constant` stays at `high`.
        progress: Fraction done, 0 to 1.
        high: Largest learning rate.
        low: Smallest learning rate.
    """
    if schedule == "constant":
        return high
    fall = cosine(progress)
    return low + (high - low) * (fall if schedule == "cosine" else 1.0 - fall)


def check_schedule(schedule: str) -> None:
    """Refuses an unknown schedule.

    Raises:
        SpecError: The name is unknown.
    """
    if schedule not in get_args(Schedule):
        raise SpecError(
            f"unknown schedule {schedule!r}", where="darts_lp", fix=did_you_mean(schedule, get_args(Schedule))
        )
