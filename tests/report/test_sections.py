"""Plugins add sections to the report; a faulty one costs its own section and nothing else."""

from __future__ import annotations

import sys

import pytest

import nasplug as nas
from nasplug.builtin.random import RandomSearch
from nasplug.report.sections import sections
from nasplug.testing import SyntheticEvaluator, SyntheticSpace


class Telling(RandomSearch):
    """Random search that tells how it went."""

    answer = None

    @nas.hookimpl
    def sections(self, study):
        if callable(self.answer):
            return self.answer()
        rows = [(trial.number, f"<b>{trial.state}</b>") for trial in study.trials]
        return [nas.Section("How it <i>went</i>", ["First.", "<script>alert(1)</script>"], ("trial", "state"), rows)]


@pytest.fixture
def search(tmp_path):
    def run(strategy=None, **more):
        return nas.search(
            space=SyntheticSpace(), evaluator=SyntheticEvaluator(), strategy=strategy or Telling(), trials=3,
            storage=tmp_path / "s.sqlite", progress=False, **more,
        )  # fmt: skip

    return run


def test_a_section_has_text_and_a_table_and_is_no_html(search, tmp_path):
    page = search().report(tmp_path / "x.html").read_text()
    assert "<h2>How it &lt;i&gt;went&lt;/i&gt;</h2>" in page
    assert page.count("<script") == 2  # its own
    assert "&lt;script&gt;alert(1)" in page
    assert "&lt;b&gt;complete&lt;/b&gt;" in page


def test_pictures_stand_in_the_section(search):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot([1, 2])
    strategy = Telling()
    strategy.answer = lambda: [nas.Section("Curve", pictures=[figure])]
    shown, notices = sections(search(strategy))
    assert [len(section.pictures) for section in shown] == [1]
    assert not notices


@pytest.mark.parametrize(
    "answer",
    [
        lambda: 1 / 0,
        lambda: ["text"],
        lambda: [nas.Section("x", header=("a", "b"), rows=[(1,)])],
        lambda: 5,
        lambda: sys.exit(0),
        lambda: (_ for _ in ()).throw(GeneratorExit()),
    ],
)
def test_a_faulty_section_is_a_notice(search, tmp_path, answer):
    strategy = Telling()
    strategy.answer = answer
    study = search(strategy)
    shown, notices = sections(study)
    assert not shown
    assert len(notices) == 1
    assert notices[0].startswith("strategy:")
    assert "could not add its section" in study.report(tmp_path / "x.html").read_text()


class Saying:
    """A cost with a section of its own."""

    name = "saying"

    @nas.hookimpl
    def cost(self, candidate, target):
        return {"saying": 1.0}

    @nas.hookimpl
    def sections(self, study):
        return [nas.Section("Said", ["all the same"])]


def test_a_faulty_section_costs_no_other_one():
    strategy = Telling()
    strategy.answer = lambda: 1 / 0
    study = nas.search(
        space=SyntheticSpace(), strategy=strategy, evaluator=SyntheticEvaluator(), costs=[Saying()], trials=2
    )
    shown, notices = sections(study)
    assert [section.title for section in shown] == ["Said"]
    assert len(notices) == 1
    assert "ZeroDivisionError" in notices[0]


def test_the_person_may_interrupt(search):
    strategy = Telling()

    def interrupt():
        raise KeyboardInterrupt

    strategy.answer = interrupt
    with pytest.raises(KeyboardInterrupt):
        sections(search(strategy))


PLUGIN = """
import nasplug as nas
from nasplug.builtin.random import RandomSearch

@nas.hookimpl
def register(catalog):
    catalog.strategy("telling", __name__ + ":Telling", summary="Tells.")

class Telling(RandomSearch):
    @nas.hookimpl
    def sections(self, study):
        return [nas.Section("Told", [f"{len(study.trials)} trials"])]
"""


def test_a_study_that_is_read_from_a_file_asks_its_components(search, tmp_path):
    (tmp_path / "telling.py").write_text(PLUGIN)
    search("telling", plugins=[tmp_path / "telling.py"])
    opened = nas.load_study(tmp_path / "s.sqlite")
    assert sections(opened) == ([], [])  # a stranger's file, which nobody trusts
    from nasplug.plugins.trust import untrusted

    with untrusted([tmp_path / "telling.py"]):
        shown, _ = sections(nas.load_study(tmp_path / "s.sqlite"))
    assert [(section.title, section.paragraphs) for section in shown] == [("Told", ["3 trials"])]
