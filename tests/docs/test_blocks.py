"""Every code block of every page runs, in the order of the page, in an empty folder.

`python` blocks run as scripts, `yaml` blocks that name a file are written, `sh` blocks run in bash. `text` blocks are
for reading only: what installs packages, and the demo, which has a test of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, blocks, pages

LANGUAGES = {"python", "yaml", "sh", "text", "json", "toml", "html"}


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_says_what_it_is(page):
    for block in blocks(page):
        assert block.language in LANGUAGES, f"{page.name}:{block.line} has a block of language {block.language!r}"


@pytest.mark.slow
@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_runs(page, tmp_path):
    environment = os.environ | {
        "PATH": str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"],
        "NASPLUG_CACHE": str(tmp_path / "cache"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(tmp_path),
    }
    for number, block in enumerate(blocks(page)):
        where = f"{page.relative_to(ROOT)}:{block.line}"
        if block.file:
            target = tmp_path / block.file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text)
        if block.language == "python":
            script = tmp_path / (block.file or f"block{number}.py")
            script.write_text(block.text)
            _run([sys.executable, str(script)], tmp_path, environment, where)
        elif block.language == "sh":
            _run(["bash", "-euo", "pipefail", "-c", block.text], tmp_path, environment, where)


def _run(command, folder, environment, where):
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{where} ended with {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
