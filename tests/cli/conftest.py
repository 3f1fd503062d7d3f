"""A short way to call the command line in this process, and a finished study to look at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from nasplug.cli import main

TINY = Path(__file__).parent / "tiny_plugin.py"


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


@pytest.fixture
def cli(capsys, monkeypatch, tmp_path):
    """Runs one command in an empty folder and returns its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    # Set where the tests themselves run under `uv run`; what the command line then suggests has a test of its own.
    monkeypatch.delenv("UV_RUN_RECURSION_DEPTH", raising=False)

    def run(*words) -> Result:
        capsys.readouterr()
        code = main([str(word) for word in words])
        return Result(code, *capsys.readouterr())

    return run


def write_spec(path: Path, **changes) -> Path:
    spec = {
        "space": "tiny",
        "evaluator": "bowl",
        "objectives": {"height": "min", "weight": "min"},
        "constraints": ["weight <= 8"],
        "budget": {"trials": 12, "epochs": 2},
        "run": {"seed": 3},
        "plugins": [str(TINY)],
        **changes,
    }
    path.write_text(yaml.safe_dump(spec))
    return path


@pytest.fixture
def spec(tmp_path):
    """Writes a specification; keyword arguments replace its keys."""
    return lambda name="search.yaml", **changes: write_spec(tmp_path / name, **changes)


@pytest.fixture(scope="session")
def study(tmp_path_factory) -> Path:
    """A finished study with failed, pruned and complete trials."""
    folder = tmp_path_factory.mktemp("study")
    path = write_spec(
        folder / "search.yaml", budget={"trials": 36, "epochs": 2}, strategy={"random": {"attempts": 200}}
    )
    assert main(["run", str(path), "--set", f"run.storage={folder / 'study.sqlite'}"]) == 0
    return folder / "study.sqlite"
