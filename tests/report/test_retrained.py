"""Retrainings that lie beside a study stand on its page; files of others, and damaged ones, do not."""

from __future__ import annotations

import json

import pytest

import nasplug as nas
from nasplug.report.retrained import retrainings
from nasplug.testing import SyntheticEvaluator, SyntheticSpace


@pytest.fixture
def study(tmp_path):
    return nas.search(
        space=SyntheticSpace(), evaluator=SyntheticEvaluator(), strategy="random", trials=3,
        storage=tmp_path / "s.sqlite", progress=False,
    )  # fmt: skip


def write(tmp_path, study, number=1, **changes):
    folder = tmp_path / f"s-retrain-{number}"
    folder.mkdir(exist_ok=True)
    data = {
        "trial": number, "architecture": study.trial(number).architecture.to_json(), "seconds": 3.0, "epochs": 20,
        "validation": {"val_acc": 0.9}, "test": {"test_acc": 0.875}, "untested": None, "baseline": {"forest": 0.8},
        "confusion": [[7, 1], [0, 8]], "versions": {}, **changes,
    }  # fmt: skip
    (folder / "retrain.json").write_text(json.dumps(data))
    (folder / "architecture.json").write_text(json.dumps({"format": 1, "classes": ["<b>cat</b>", "dog"]}))
    return folder


def test_it_is_read_and_shown(study, tmp_path):
    write(tmp_path, study)
    (found,) = retrainings(study)
    assert found.title.endswith(", trial 1")
    assert found.test == [("test_acc", "0.875")]
    assert ("epochs", "20") in found.facts
    assert [[cell.count for cell in row] for row in found.matrix] == [[7, 1], [0, 8]]
    assert found.matrix[0][1].share == pytest.approx(1 / 8)
    pytest.importorskip("matplotlib")
    page = study.report(tmp_path / "x.html").read_text()
    assert "Confusion matrix of the test" in page
    assert "&lt;b&gt;cat&lt;/b&gt;" in page
    assert "0.875" in page


def test_a_study_opened_from_its_file_finds_them_too(study, tmp_path):
    write(tmp_path, study)
    assert len(retrainings(nas.load_study(tmp_path / "s.sqlite"))) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": {"space": "s", "genotype": [1], "key": "of an earlier study"}},
        {"trial": 99},
        {"trial": "many"},
        {"test": 5},
    ],
)
def test_what_does_not_belong_is_left_out(study, tmp_path, changes):
    write(tmp_path, study, **changes)
    assert retrainings(study) == []


@pytest.mark.parametrize("confusion", [None, [], [[1, 2]], [[1, 2], [3]], [[1, -2], [3, 4]]])
def test_a_matrix_that_is_none_is_left_out(study, tmp_path, confusion):
    write(tmp_path, study, confusion=confusion)
    assert retrainings(study)[0].matrix == []


@pytest.mark.parametrize(
    "description", [None, "{", '{"classes": null}', '{"classes": ["a", "b", "c"]}', '{"classes": 5}']
)
def test_without_names_classes_have_numbers(study, tmp_path, description):
    file = write(tmp_path, study) / "architecture.json"
    file.unlink() if description is None else file.write_text(description)
    assert retrainings(study)[0].classes == ["0", "1"]


def test_no_test_says_why(study, tmp_path):
    write(tmp_path, study, test=None, untested="there are no test data", confusion=None)
    pytest.importorskip("matplotlib")
    assert "Not tested: there are no test data" in study.report(tmp_path / "x.html").read_text()


def test_a_study_in_memory_has_none():
    study = nas.search(
        space=SyntheticSpace(), evaluator=SyntheticEvaluator(), strategy="random", trials=2, progress=False
    )
    assert retrainings(study) == []
