"""Networks at random that a study has not had yet."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from nasplug.contract.protocols import SearchSpace
from nasplug.contract.records import Architecture


def unseen(space: SearchSpace, seen: Collection[str], rng: np.random.Generator, attempts: int = 20) -> Architecture:
    """Draws until an architecture is new, and takes the last one drawn where none is.

    Args:
        space: Space to draw from.
        seen: Keys of architectures that are known.
        rng: Random stream.
        attempts: Number of draws after the first.
    """
    found = space.sample(rng)
    for _ in range(attempts):
        if found.key not in seen:
            break
        found = space.sample(rng)
    return found
