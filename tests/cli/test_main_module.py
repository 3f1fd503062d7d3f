"""`python -m nasplug` is the command, where its script is not on the path."""

from __future__ import annotations

import subprocess
import sys

import nasplug


def test_the_module_is_the_command():
    shown = subprocess.run([sys.executable, "-m", "nasplug", "--version"], capture_output=True, text=True, check=True)

    assert shown.stdout.split() == ["nasplug", nasplug.__version__]


def test_a_mistake_ends_as_the_command_does():
    ended = subprocess.run([sys.executable, "-m", "nasplug", "rum"], capture_output=True, text=True)

    assert ended.returncode == 2
    assert "did you mean 'run'" in ended.stderr
