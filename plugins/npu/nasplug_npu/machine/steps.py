"""How many clocks the steps of a sum take where zeros are skipped."""

from __future__ import annotations


def steps_of(mask: list[bool], window: int) -> int:
    """Clocks that a stepper takes for a mask: it passes at most so many steps in a clock, to the next that is not zero.

    Args:
        mask: Steps with a weight that is not zero.
        window: Steps that are looked at together.
    """
    at = clocks = 0
    while True:
        seen = mask[at : at + window]
        found = seen.index(True) if True in seen else None
        clocks += 1
        passed = window if found is None else found + 1
        rest = seen[passed:]
        if at + window >= len(mask) and True not in rest:
            return clocks
        at += passed
