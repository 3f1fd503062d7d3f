"""The example notebook: as its script writes it, and every cell runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def recorded():
    return json.loads((EXAMPLES / "search_in_a_notebook.ipynb").read_text(encoding="utf-8"))


def kinds(cell):
    return [output["output_type"] for output in cell.get("outputs", [])]


def test_the_notebook_is_that_of_its_script_and_was_executed():
    found = recorded()
    sys.path.insert(0, str(EXAMPLES))
    try:
        import make_notebook
    finally:
        sys.path.remove(str(EXAMPLES))
    assert [(cell["cell_type"], cell["source"]) for cell in found["cells"]] == make_notebook.CELLS
    shown = [output for cell in found["cells"] for output in cell.get("outputs", [])]
    assert any("<table>" in output.get("data", {}).get("text/html", "") for output in shown)
    assert "/home" not in json.dumps(found)


@pytest.mark.slow
def test_every_cell_runs(tmp_path):
    for name in ("make_notebook.py",):
        (tmp_path / name).write_text((EXAMPLES / name).read_text(encoding="utf-8"), encoding="utf-8")
    subprocess.run([sys.executable, "make_notebook.py"], cwd=tmp_path, check=True, timeout=600)
    again = json.loads((tmp_path / "search_in_a_notebook.ipynb").read_text(encoding="utf-8"))
    before = recorded()
    for one, other in zip(before["cells"], again["cells"], strict=True):
        assert one["source"] == other["source"]
        assert [o["output_type"] for o in one.get("outputs", [])] == [
            o["output_type"] for o in other.get("outputs", [])
        ]
    table = next(o for c in again["cells"] for o in c.get("outputs", []) if "text/html" in o.get("data", {}))
    assert "against the baseline" in table["data"]["text/html"]
    assert "8 complete" in table["data"]["text/html"]
