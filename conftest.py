"""Settings of all tests: one thread per process, and the same random numbers in every run.

Tests are many small trainings, for which one thread is fastest; and a red run can be repeated: properties get the same
examples, and every test begins with the same state of the global generators, whatever ran before it.

`HYPOTHESIS_PROFILE=search pytest ...` looks for new examples instead.
"""

from __future__ import annotations

import os
import random
import sys

import numpy as np
import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture(autouse=True)
def _same_numbers() -> None:
    """Networks that a test builds without a seed have the same weights in every run.

    Where torch is not imported yet, it begins with a constant seed of its own.
    """
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  the global generator is meant
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(0)
