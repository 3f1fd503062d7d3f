"""Random streams keyed by (seed, role, index): the same key gives the same numbers in any process, at any time."""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np


@cache
def _role_key(role: str) -> int:
    return int.from_bytes(hashlib.blake2b(role.encode(), digest_size=4).digest(), "little")


def stream(seed: int, role: str, index: int = 0) -> np.random.Generator:
    """A generator of its own for one purpose.

    Args:
        seed: The study's seed, >= 0.
        role: Purpose of the numbers, e.g. `qnas.observe`.
        index: Index of the stream, e.g. the generation, >= 0.
    """
    # What `default_rng` makes, without its looking at what it got: there is one for every proposal.
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(_role_key(role), index))))


def derived_seed(seed: int, role: str, index: int = 0) -> int:
    """A 31-bit integer seed for libraries that want one, e.g. torch; much cheaper than a generator."""
    digest = hashlib.blake2b(f"{seed}/{role}/{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") & 0x7FFFFFFF
