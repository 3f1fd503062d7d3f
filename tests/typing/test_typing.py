"""What a type checker tells users: types of what they get, and errors where they are wrong.

The files `use_*.py` are checked, never run. A line with `# type: ignore[code]` must be an error of that kind: an ignore
that is not needed is an error itself.
"""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
api = pytest.importorskip("mypy.api")

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
USES = sorted(HERE.glob("use_*.py"))


def check(*paths):
    options = [
        "--strict",
        "--warn-unused-ignores",
        "--python-version",
        "3.11",
        "--config-file",
        str(ROOT / "pyproject.toml"),
    ]
    found, problem, status = api.run([*options, "--cache-dir", str(ROOT / ".mypy_cache"), *map(str, paths)])
    assert not problem, problem
    return status, found


def test_uses_of_every_kind_are_here():
    assert {path.stem for path in USES} == {"use_hooks", "use_search", "use_space", "use_strategy"}
    assert all(path.read_text().count("# type: ignore[") >= 4 for path in USES)


def test_right_uses_pass_and_wrong_ones_are_errors(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text("import nasplug as nas\n\nnumber: int = nas.load_study('x.sqlite').best\n")
    status, found = check(*USES, wrong)  # in one call: most of it is reading the types of the libraries
    errors = [line for line in found.splitlines() if ": error:" in line]
    assert status == 1
    assert len(errors) == 1, found
    assert "wrong.py:3" in errors[0]
    assert 'expression has type "Trial"' in errors[0]


def test_every_package_ships_its_types():
    packages = [ROOT / "nasplug", *(path for path in (ROOT / "plugins").glob("*/nasplug_*") if path.is_dir())]
    assert len(packages) > 8
    assert [str(path) for path in packages if not (path / "py.typed").is_file()] == []
