"""Seeds the global generators that training code draws from."""

from __future__ import annotations

import random
import sys

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
