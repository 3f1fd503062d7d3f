"""Settings of all tests: one thread per process, and the same examples of properties in every run.

Tests are many small trainings, for which one thread is fastest; and a red run can be repeated.

`HYPOTHESIS_PROFILE=search pytest ...` looks for new examples instead.
"""

from __future__ import annotations

import os

from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
