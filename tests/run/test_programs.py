"""Programs that worker processes cannot import are refused, and the message says what to do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

PROGRAM = """
import sys
sys.path.insert(0, {support!r})
import nasplug as nas
from user_project import DigitsData, LitDigits, Widths
try:
    nas.search(
        nas.LightningTask(LitDigits, DigitsData(), (1, 8, 8), 10), space=Widths(), workers=2, trials=2, progress=False
    )
except nas.errors.NasplugError as error:
    print(type(error).__name__, error)
"""


def test_a_program_from_standard_input_with_workers(tmp_path):
    text = PROGRAM.format(support=str(Path(__file__).parents[1] / "support"))
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-"], input=text, capture_output=True, text=True, cwd=tmp_path, env={**os.environ}, timeout=300
    )
    assert done.stdout.startswith("SpecError run.executor: process: worker processes cannot import the program"), done
    assert "save the program in a file" in done.stdout
    assert time.monotonic() - started < 240
    assert list(tmp_path.iterdir()) == []
