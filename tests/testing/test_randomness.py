"""The watch over global generators sees draws, and takes loading torch for none."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from nasplug.testing.randomness import untouched_random_state

PROGRAM = """
import sys
from nasplug.testing.randomness import untouched_random_state
assert "torch" not in sys.modules
with untouched_random_state("it"):
    import torch
    {then}
"""


@pytest.mark.parametrize(("then", "code"), [("pass", 0), ("torch.rand(1)", 1), ("torch.randperm(3)", 1)])
def test_loading_torch_is_no_draw_and_drawing_from_it_is(then, code):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(then=then)], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert ("it draws from a global random generator" in done.stderr) == bool(code)


def test_a_draw_is_seen():
    with pytest.raises(AssertionError, match="that draws"), untouched_random_state("that"):
        random.random()
