"""Acquisitive Learning as a search."""

from __future__ import annotations

import pytest
from nasplug_cgap.learners.acquire import Acquire
from nasplug_cgap.select import Select
from nasplug_cgap.sequence.memory import Memory

import nasplug as nas
from nasplug.contract.errors import SpecError
from nasplug.testing import StrategyConformance

from .conftest import Nets, blobs


class TestSelect(StrategyConformance):
    def make_strategy(self):
        return Select(candidates=5, keep=2, by="val_acc", direction="max")


def search(strategy, trials=3, **options):
    return nas.search(
        blobs(),
        space=Nets(),
        strategy=strategy,
        evaluator=Acquire("3+1", memory=Memory(24), inherit_only=True),
        costs=[nas.component("stability", schedule="3+1", draws=2)],
        objectives={"val_acc": "max"},
        trials=trials,
        epochs=3,
        **options,
    )


def test_the_most_stable_go_on(tmp_path):
    study = search(Select(candidates=2, keep=1), storage=tmp_path / "s.sqlite")
    first, second, third = study.trials
    chosen = min((first, second), key=lambda trial: (trial.costs["stability/drop"], trial.number))
    assert third.proposal.parent == chosen.number
    assert third.proposal.inherits.mode == "weights"
    assert third.proposal.info["rank"] == 1
    assert list(third.stages) == ["classes-0", "classes-1"]
    assert list(first.stages) == ["classes-0"]
    again = nas.search(
        blobs(),
        space=Nets(),
        strategy=Select(candidates=2, keep=1),
        evaluator=Acquire("3+1", memory=Memory(24), inherit_only=True),
        costs=[nas.component("stability", schedule="3+1", draws=2)],
        objectives={"val_acc": "max"},
        trials=3,
        epochs=3,
    )
    assert [dict(trial.metrics) for trial in again.trials] == [dict(trial.metrics) for trial in study.trials]


def test_others_may_be_kept_and_asked_for():
    study = search(Select(candidates=2, keep=2, by="stability/clean_acc", direction="max"), trials=4)
    assert len(study.trials) == 4
    values = [study.trials[trial.proposal.parent].costs["stability/clean_acc"] for trial in study.trials[2:]]
    assert values == sorted(values, reverse=True)


def test_any_number_at_a_time_gives_the_same():
    one, many = (search(Select(candidates=2, keep=2), trials=4, batch=batch) for batch in (1, 3))
    assert [trial.proposal.parent for trial in one.trials] == [trial.proposal.parent for trial in many.trials]


def test_mistakes():
    with pytest.raises(SpecError, match="cannot keep 3 of 2"):
        Select(candidates=2, keep=3)
    with pytest.raises(SpecError, match="neither min nor max"):
        Select(direction="down")
    with pytest.raises(SpecError, match=r"no 'latency' to select by"):
        search(Select(candidates=1, by="latency"))
