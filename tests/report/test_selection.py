"""A large study is shown in part, never without its best."""

from __future__ import annotations

import numpy as np

import nasplug as nas
from nasplug.ledger.ledger import Ledger
from nasplug.report import selection, series

ARCHITECTURE = nas.Architecture("s", (1,), "1")


def study_of(count):
    rng = np.random.default_rng(1)
    ledger = Ledger.of(None, {"a": "max", "b": "min"})
    for i in range(count):
        metrics = {"a": float(rng.normal()), "b": float(rng.normal())}
        ledger.observe(nas.Trial(i, nas.Proposal(ARCHITECTURE), "complete", metrics=metrics))
    return ledger.result()


def test_a_small_study_is_shown_whole():
    study = study_of(50)
    shown, rule = selection.selected(study, series.ranking(study), most=50)
    assert [trial.number for trial in shown] == list(range(50))
    assert rule == ""


def test_front_best_and_latest_are_there_and_the_rest_is_even():
    study = study_of(3000)
    ranking = series.ranking(study)
    shown, rule = selection.selected(study, ranking, most=1500)
    numbers = [trial.number for trial in shown]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == 1500
    needed = {t.number for t in (*study.pareto(), *ranking[: selection.BEST])} | set(range(2900, 3000))
    assert needed <= set(numbers)
    gaps = np.diff([n for n in numbers if n not in needed])
    assert gaps.max() <= 12
    assert "1,500 of all 3,000 trials" in rule


def test_front_and_best_stay_when_there_is_no_room():
    study = study_of(1200)
    shown, _ = selection.selected(study, series.ranking(study), most=10)
    assert {trial.number for trial in study.pareto()} <= {trial.number for trial in shown}


def test_evenly():
    assert selection.evenly([0, 1, 2], 5) == [0, 1, 2]
    assert selection.evenly(list(range(10)), 5) == [0, 2, 4, 6, 8]
    assert selection.evenly(list(range(10)), 0) == []
