"""A search that starts a cluster of its own, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.ray

FULL = """
import numpy as np
import nasplug as nas
from nasplug.testing import SyntheticEvaluator, SyntheticSpace

evaluator = SyntheticEvaluator()
evaluator.data = np.ones(50_000_000)  # four times what the store takes
nowhere = {"local_fs_capacity_threshold": 0.0}  # as if the disk that it would go to were full
ray = {"ray": {"init": {"object_store_memory": 100_000_000, "_system_config": nowhere}}}
try:
    nas.search(space=SyntheticSpace(), evaluator=evaluator, executor=ray, trials=2, progress=False)
except nas.errors.StorageError as error:
    print("refused:", error)
"""


def test_a_full_object_store_is_refused(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    if "cluster cannot be used" in done.stderr and "timed out" in done.stderr:
        pytest.skip(f"a Ray cluster cannot start here: {done.stderr[-300:]}")
    assert "refused: run.executor: ray: the object store of the cluster is full" in done.stdout, done.stderr[-3000:]
