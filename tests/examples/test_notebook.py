"""The example notebooks: as their script writes them, and every cell runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.ipynb"))


def read(name, folder=EXAMPLES):
    return json.loads((folder / f"{name}.ipynb").read_text(encoding="utf-8"))


def shown(notebook):
    return [output for cell in notebook["cells"] for output in cell.get("outputs", [])]


def kinds(cell):
    return [(output["output_type"], sorted(output.get("data", {}))) for output in cell.get("outputs", [])]


@pytest.fixture
def script():
    sys.path.insert(0, str(EXAMPLES))
    try:
        import make_notebooks
    finally:
        sys.path.remove(str(EXAMPLES))
    return make_notebooks


def test_the_notebooks_are_those_of_the_script_and_were_executed(script):
    assert sorted(script.NOTEBOOKS) == NAMES
    for name, cells in script.NOTEBOOKS.items():
        found = read(name)
        assert [(cell["cell_type"], cell["source"]) for cell in found["cells"]] == cells
        assert len(shown(found)) >= 2
        text = json.dumps(found)
        assert "/home" not in text
        assert "/tmp" not in text


def test_they_show_a_table_and_a_picture():
    assert any("<table>" in item.get("data", {}).get("text/html", "") for item in shown(read("search_in_a_notebook")))
    assert any("image/png" in item.get("data", {}) for item in shown(read("shrink_in_a_notebook")))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_cell_runs(name, tmp_path):
    shutil.copy(EXAMPLES / "make_notebooks.py", tmp_path)

    subprocess.run([sys.executable, "make_notebooks.py", name], cwd=tmp_path, check=True, timeout=600)

    again = read(name, tmp_path)
    for one, other in zip(read(name)["cells"], again["cells"], strict=True):
        assert one["source"] == other["source"]
        assert kinds(one) == kinds(other)
    if name == "search_in_a_notebook":
        table = next(item for item in shown(again) if "text/html" in item.get("data", {}))
        assert "against the baseline" in table["data"]["text/html"]
        assert "8 complete" in table["data"]["text/html"]
