"""Seeds the global generators that training code draws from."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


def seed_everything(seed: int) -> None:
    """Seeds `random`, NumPy's global state and, where it is loaded, torch on every device.

    Our own code draws from keyed streams; this is for the user's modules and for torch itself.

    Args:
        seed: Below 2**31.
    """
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Puts the global generators back as they were: what draws numbers inside changes nothing outside."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    torch = sys.modules.get("torch")
    states = None if torch is None else (torch.get_rng_state(), _cuda_states(torch))
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        if torch is not None and states is not None:
            torch.set_rng_state(states[0])
            if states[1]:
                torch.cuda.set_rng_state_all(states[1])


def _cuda_states(torch: Any) -> list[Any]:
    return torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
