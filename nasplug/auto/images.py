"""Residual networks that the time on this machine lets train long enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nasplug.contract.jsondata import JsonObject

#: Epochs and steps that the last training should have, at least. For the same time, a small network after a dozen
#: epochs of some thousand images was far ahead of one four times as large after three.
EPOCHS, STEPS = 15, 250
WIDTHS = (8, 12, 16, 24, 32, 48, 64, 96)
STEMS = (1, 2, 4, 8, 16, 32)
#: Sides in pixels that the first stage may see, at least and at most.
FEWEST, MOST = 7, 32
#: How many of the widths are searched: the largest that fits, and those before it.
SEARCHED = 3


@dataclass(frozen=True)
class Fitting:
    """Networks that fit.

    Attributes:
        space: Space of them, as a specification says it.
        first: Genotypes to begin with: the widest with the fewest blocks.
        seconds: Seconds per epoch of the widest with the fewest blocks.
        epochs: Epochs of it that the time pays.
    """

    space: JsonObject
    first: list[list[float]]
    seconds: float
    epochs: float


def fitting(side: int, available: float, steps: int, seconds_of: Callable[[JsonObject], float]) -> Fitting:
    """Finds the finest stem with which a network can be trained long enough, and the widths that can.

    Where none can, the coarsest stem and the smallest width are taken.

    Args:
        side: Longer side of the images, in pixels.
        available: Seconds for the last training.
        steps: Number of batches of an epoch.
        seconds_of: Function from a space to the seconds of an epoch.
    """
    wanted = max(EPOCHS, STEPS / steps)
    stems = [stem for stem in STEMS if FEWEST <= side / stem <= MOST] or [STEMS[-1] if side > MOST else STEMS[0]]
    smallest = 0.0
    for stem in stems:
        found: list[tuple[int, float]] = []
        for width in WIDTHS:
            seconds = max(seconds_of(_space(stem, [width], [3], [1])), 1e-6)
            smallest = seconds if width == WIDTHS[0] else smallest
            if available / seconds < wanted:
                break
            found.append((width, seconds))
        if found:
            return _fitting(stem, [width for width, _ in found[-SEARCHED:]], found[-1][1], available, wanted)
    return _fitting(stems[-1], [WIDTHS[0]], smallest, available, wanted)


def _fitting(stem: int, widths: list[int], seconds: float, available: float, wanted: float) -> Fitting:
    first: list[list[float]] = [[stem, widths[-1], stages, 1, 0.0] for stages in (3, 4)]
    # In trainings of as many epochs a deeper network looks better than it would after the same time.
    blocks = [1, 2] if available / seconds >= 2 * wanted else [1]
    return Fitting(_space(stem, widths, [3, 4], blocks), first, seconds, available / seconds)


def _space(stem: int, widths: Sequence[int], stages: Sequence[int], blocks: Sequence[int]) -> JsonObject:
    return {"resnet": {"stems": [stem], "widths": [*widths], "stages": [*stages], "blocks": [*blocks]}}
