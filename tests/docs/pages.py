"""Reads the code blocks of our Markdown pages."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, text and line. `file` is the name in a first line `# file: NAME`."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def file(self) -> str | None:
        match = re.match(r"# file: (\S+)\n", self.text)
        return match[1] if match else None


def pages(root: Path = ROOT) -> list[Path]:
    """Every page a user reads; folders with an underscore in front hold what building the site makes."""
    found = [root / "README.md", *sorted((root / "docs").rglob("*.md")), *sorted(root.glob("plugins/*/README.md"))]
    return [page for page in found if not any(part.startswith("_") for part in page.relative_to(root).parts)]


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    tokens = MarkdownIt().parse(page.read_text(encoding="utf-8"))
    return [
        Block(page, token.map[0] + 1 if token.map else 0, token.info.split()[0] if token.info else "", token.content)
        for token in tokens
        if token.type == "fence"
    ]


def environment(folder: Path) -> dict[str, str]:
    """What the processes of a reader see whose work lies in a folder."""
    return os.environ | {
        "PATH": str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"],
        "NASPLUG_CACHE": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(folder),
    }


def commands(page: Path, folder: Path) -> Iterator[tuple[Block, list[str]]]:
    """The blocks of a page that run, with their commands; files of the page are written when their turn comes."""
    for number, block in enumerate(blocks(page)):
        if block.file:
            target = folder / block.file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text)
        if block.language == "python":
            script = folder / (block.file or f"block{number}.py")
            script.write_text(block.text)
            yield block, [sys.executable, str(script)]
        elif block.language == "sh":
            yield block, ["bash", "-euo", "pipefail", "-c", block.text]
