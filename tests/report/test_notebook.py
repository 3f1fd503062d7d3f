"""Studies and running searches in a notebook."""

from __future__ import annotations

import sys
import types

import pytest

import nasplug as nas
from nasplug.contract.records import BASELINE
from nasplug.ledger.ledger import Ledger
from nasplug.report.notebook import progress_html, study_html, table_html
from nasplug.testing import SyntheticSpace


def study(objectives, count=12, **values):
    space = SyntheticSpace(length=2)
    ledger = Ledger.of(space, objectives)
    for number in range(count):
        trial = ledger.propose(ledger.view.proposal(space.from_code(number % 9)))
        ledger.observe(trial.with_(state="complete", metrics={"score": number / 20, "loss": number / 10, **values}))
    return ledger.result()


def test_the_best_trials_come_first():
    page = study({"score": "max"})._repr_html_()
    assert page.count("<tr>") == 11
    assert page.index("<td>11</td>") < page.index("<td>10</td>")
    assert "12 complete" in page
    assert "best trials: 10 of 12" in page
    assert "position0=" in page


def test_a_front_and_the_baseline():
    found = study({"score": "max", "loss": "min"})
    found.baseline = found.trials[3].with_(number=BASELINE, label="resnet18")
    page = study_html(found)
    assert "Pareto front: 10 of 12" in page
    assert page.index("resnet18") < page.index("<td>11</td>")
    assert "score +17.5 points [" in page  # trials 2 and 11 are the same network
    assert "over 2 seeds" in page


def test_an_empty_study_and_names_from_elsewhere():
    assert "no trial is complete" in study_html(study({"score": "max"}, count=0))
    assert "<script" not in table_html(["<script>"], [["<script>alert(1)</script>"]])
    assert "<script" not in progress_html(1, 2, "<script>", "<script>")


def test_the_text_form_names_the_best():
    assert repr(study({"score": "max"})).endswith("score max; best trial 11: position0=skip position1=wide)") or (
        "best trial 11: position0=" in repr(study({"score": "max"}))
    )


@pytest.fixture
def kernel(monkeypatch):
    """A stand-in for the kernel of a notebook."""
    shown = []

    class Handle:
        def update(self, value):
            shown.append(value)

    def display(value, display_id):
        shown.append(value)
        return Handle()

    ipython, inside = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    inside.display = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", inside)
    return shown


class Score:
    objectives = {"score": "max"}  # noqa: RUF012

    @nas.hookimpl
    def evaluate(self, run):
        return nas.Evaluation({"score": run.trial.number / 10})


def test_a_search_in_a_notebook_shows_one_bar(kernel, capsys):
    nas.search(space=SyntheticSpace(length=2), evaluator=Score(), trials=5)
    assert "<progress" in kernel[0]._repr_html_()
    assert "5/5" in kernel[-1]._repr_html_()
    assert "best: trial 4" in repr(kernel[-1])
    assert capsys.readouterr() == ("", "")
    before = len(kernel)
    nas.search(space=SyntheticSpace(length=2), evaluator=Score(), trials=1, progress=False)
    assert len(kernel) == before
