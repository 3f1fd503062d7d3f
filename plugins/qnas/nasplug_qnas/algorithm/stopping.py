"""Optional early stopping of the evolution."""

from __future__ import annotations

from collections.abc import Sequence

from nasplug.contract.errors import SpecError


def stagnated(best: Sequence[float | None], window: int, min_gain: float = 0.005) -> bool:
    """Whether the best fitness gained too little over the last `window` generations.

    The gain is measured against the value at the start of the window, so slow and steady progress is not mistaken for
    stagnation, which a comparison of neighbouring generations would do.

    Args:
        best: Best fitness after each generation so far; None while no candidate has been measured.
        window: Generations looked back on; 0 never stops.
        min_gain: Relative gain that counts as progress: 0.005 asks for more than half a per cent of the absolute value
            at the start of the window.

    Returns:
        True if the evolution should stop. Never before `window + 1` generations.

    Raises:
        SpecError: If `window` or `min_gain` is negative.
    """
    if window < 0 or min_gain < 0:
        raise SpecError(
            f"the stopping window and gain must not be negative, got {window} and {min_gain}", where="Q-NAS"
        )
    if window == 0 or len(best) <= window:
        return False
    start, now = best[-1 - window], best[-1]
    if start is None or now is None:
        return False
    return now - start <= min_gain * abs(start)
