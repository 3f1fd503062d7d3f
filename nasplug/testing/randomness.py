"""Watches the global random generators, which plugins must leave alone."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


def global_random_state() -> str:
    """The state of all global generators of this process, comparable with `==`."""
    torch = sys.modules.get("torch")
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002
    return repr(
        (
            random.getstate(),
            sorted((key, _plain(value)) for key, value in numpy_state.items()),
            None if torch is None else torch.get_rng_state().numpy().tobytes(),
        )
    )


def _plain(value: object) -> str:
    return repr({key: np.asarray(item).tobytes() for key, item in value.items()} if isinstance(value, dict) else value)


@contextmanager
def untouched_random_state(who: str) -> Iterator[None]:
    """Fails if the body draws from a global generator.

    Args:
        who: Named in the message.

    Raises:
        AssertionError: The state of `random`, `numpy.random` or torch changed.
    """
    absent = "torch" not in sys.modules
    before = global_random_state()
    yield
    torch = sys.modules.get("torch")
    if (
        absent and torch is not None
    ):  # loaded in here, which is not a draw; its generator is as new, with a seed of its own
        fresh = torch.Generator().manual_seed(torch.initial_seed()).get_state()
        before = before.removesuffix("None)") + f"{fresh.numpy().tobytes()!r})"
    assert global_random_state() == before, (
        f"{who} draws from a global random generator, which makes trials depend on each other; draw from the generator "
        "that is handed in or from study.rng(role, index), and in torch from a torch.Generator of your own"
    )
