"""Several studies on one page."""

from __future__ import annotations

import json
import re

import pytest

import nasplug as nas
from nasplug.contract.errors import StudyError
from nasplug.ledger.ledger import Ledger
from nasplug.report.comparison import comparison
from nasplug.report.page import write_report

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")


def study_of(points, objectives=None):
    ledger = Ledger.of(None, objectives or {"a": "max", "b": "min"})
    for i, (a, b) in enumerate(points):
        architecture = nas.Architecture("s", (a, b), f"{a},{b}")
        ledger.observe(nas.Trial(i, nas.Proposal(architecture), "complete", metrics={"a": a, "b": b}, seconds=2.0))
    return ledger.result()


FIRST, SECOND = study_of([(1.0, 1.0), (2.0, 2.0)]), study_of([(3.0, 1.0), (0.0, 4.0)])


def cells(found, number):
    _, table = found.tables[number]
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def test_hypervolumes_share_a_reference():
    found = comparison([FIRST, SECOND], ["x", "y"])
    assert [row["a"] for row in cells(found, 0)] == ["2", "3"]
    assert cells(found, 0)[0]["architecture"] == "2 2 (trial 1)"
    # reference (a 0, b 4): (1,1) covers 1 x 3, (2,2) adds 1 x 2; (3,1) covers 3 x 3
    assert [row["hypervolume"] for row in cells(found, 1)] == ["5", "9"]
    assert [row["front"] for row in cells(found, 1)] == ["2", "1"]
    assert "a = 0, b = 4" in found.note


def test_different_objectives_have_no_hypervolume():
    found = comparison([FIRST, study_of([(1.0, 1.0)], {"a": "max"})], ["x", "y"])
    assert "hypervolume" not in found.tables[0][1].columns
    assert cells(found, 0)[1] == {
        "study": "y", "architecture": "1 1, trial 0", "a": "1", "b": "1", "trials": "1", "time": "2.0 s",
    }  # fmt: skip
    assert "different objectives" in found.note


def test_an_empty_study_stands_beside_others():
    found = comparison([FIRST, study_of([])], ["x", "y"])
    assert cells(found, 1)[1]["trials"] == "0"
    found = comparison([FIRST, study_of([], {"c": "max"})], ["x", "y"])
    assert cells(found, 0)[1]["architecture"] == "-"


def test_one_page_with_both(tmp_path):
    page = FIRST.report(tmp_path / "x.html", beside=[SECOND]).read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, flags=re.DOTALL)[1])
    assert [study["name"] for study in data["studies"]] == ["Architecture search (1)", "Architecture search (2)"]
    assert "Side by side" in page


def test_pictures_of_several_studies_do_not_overwrite_each_other(tmp_path):
    write_report([FIRST, SECOND], tmp_path / "x.html", png_folder=tmp_path / "png")
    assert {"1-progress.png", "2-progress.png"} <= {path.name for path in (tmp_path / "png").iterdir()}


def test_no_study_at_all(tmp_path):
    with pytest.raises(StudyError, match="a report needs a study"):
        write_report([], tmp_path / "x.html")
