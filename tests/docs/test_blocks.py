"""Every code block of every page runs, in the order of the page, in an empty folder.

`python` blocks run as scripts, `yaml` blocks that name a file are written, `sh` blocks run in bash. `text` blocks are
for reading only: what installs packages, and the demo, which has a test of its own. Programs run in forks of a process
that has imported Lightning and the like, see `warm`.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.docs import warm
from tests.docs.pages import ROOT, blocks, commands, environment, pages

LANGUAGES = {"python", "yaml", "sh", "text", "json", "toml", "html"}


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_says_what_it_is(page):
    for block in blocks(page):
        assert block.language in LANGUAGES, f"{page.name}:{block.line} has a block of language {block.language!r}"


def test_pages_that_building_the_site_makes_are_not_read(tmp_path):
    for name in ("README.md", "docs/start.md", "docs/_reference/errors.md", "docs/_reference/api/errors.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("", encoding="utf-8")

    assert [str(page.relative_to(tmp_path)) for page in pages(tmp_path)] == ["README.md", "docs/start.md"]


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    """The folder of commands that run in a warm process."""
    with warm.commands(tmp_path_factory.mktemp("warm") / "bin") as folder:
        yield folder


@pytest.mark.slow
@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_runs(page, tmp_path, programs):
    variables = environment(tmp_path)
    variables["PATH"] = f"{programs}{os.pathsep}{variables['PATH']}"
    for block, command in commands(page, tmp_path):
        words = [str(programs / "python") if word == sys.executable else word for word in command]
        _run(words, tmp_path, variables, f"{page.relative_to(ROOT)}:{block.line}")


def _run(command, folder, variables, where):
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{where} ended with {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
