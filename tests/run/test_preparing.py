"""Tests of `nasplug.run.preparing`: work that plugins name before the first trial."""

from __future__ import annotations

from pathlib import Path

import pytest

import nasplug as nas
from nasplug.contract.errors import PluginError, StudyError
from nasplug.run.api import run_spec
from nasplug.testing import SyntheticEvaluator, outcome, run_search

PLUGIN = str(Path(__file__).parents[1] / "support" / "preparing_plugin.py")


@pytest.fixture
def spec(toy_spec, toy_path, tmp_path):
    log = tmp_path / "log.txt"

    def make(strategy="random", trials=4, trouble="", **run):
        wanted = toy_spec(strategy=strategy, plugins=[toy_path, PLUGIN], run=run, budget={"trials": trials})
        return wanted.replace(evaluator=nas.component("scaled", log=str(log), trouble=trouble))

    make.made = lambda: log.read_text().count("made") if log.exists() else 0
    return make


@pytest.mark.parametrize("run", [{}, {"executor": "process", "workers": 2}])
def test_it_is_done_once_and_all_trials_share_it(spec, run):
    study = run_spec(spec(**run))

    assert [trial.state for trial in study.trials] == ["complete"] * 4
    assert spec.made() == 1
    assert outcome(study) == outcome(run_spec(spec()))


def test_a_resumed_run_finds_it_and_a_finished_one_does_not_ask(spec, tmp_path):
    path = str(tmp_path / "study.sqlite")
    run_spec(spec(trials=2, storage=path))
    longer = run_spec(spec(storage=path))
    run_spec(spec(storage=path))

    assert spec.made() == 1
    assert outcome(longer) == outcome(run_spec(spec()))


def test_a_damaged_file_is_made_again_with_the_same_result(spec, tmp_path):
    path = str(tmp_path / "study.sqlite")
    study = run_spec(spec(trials=2, storage=path))
    (scale,) = study.artifacts().glob("jobs/*/scale.txt")
    scale.write_text("0.0")

    longer = run_spec(spec(storage=path))

    assert spec.made() == 2
    assert outcome(longer) == outcome(run_spec(spec()))


def test_work_that_fails_ends_the_run_and_is_tried_again_by_the_next(spec, tmp_path):
    path, trouble = str(tmp_path / "study.sqlite"), tmp_path / "trouble"
    trouble.touch()
    with pytest.raises(StudyError, match="evaluator:scaled: the work that every trial needs has failed") as error:
        run_spec(spec(storage=path, trouble=str(trouble)))
    assert "ValueError: the scale is bent" in str(error.value)

    trouble.unlink()
    study = run_spec(spec(storage=path, trouble=str(trouble)))
    assert [trial.state for trial in study.trials] == ["complete"] * 4


def test_a_strategy_that_asks_for_the_same_gets_the_same(spec, tmp_path):
    study = run_spec(spec(strategy={"scaling": {"log": str(tmp_path / "log.txt")}}))

    assert [trial.state for trial in study.trials] == ["complete"] * 4
    assert spec.made() == 1


@pytest.mark.parametrize(
    ("answer", "message"),
    [("a supernet", "the answer is 'a', not work"), (nas.Work("a:b", {}, trials=1), "cannot see trials")],
)
def test_other_answers_are_refused(answer, message):
    class Asks(SyntheticEvaluator):
        @nas.hookimpl
        def prepare(self, study):
            return answer

    with pytest.raises(PluginError, match=message):
        run_search("random", evaluator=Asks(), trials=2)
