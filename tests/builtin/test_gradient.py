"""The strategy that trains a relaxed network, on a space of one decision."""

from __future__ import annotations

import pytest

import nasplug as nas
from nasplug.builtin.gradient import GradientSearch
from nasplug.contract.errors import SpecError
from nasplug.tasks import ImageClassification
from nasplug.testing import StrategyConformance
from tests.support.relaxed import Ways


def small_task():
    return ImageClassification(limit=60, batch_size=16)


class TestGradient(StrategyConformance):
    trials = 6

    def make_strategy(self):
        return GradientSearch(epochs=1)

    def make_space(self):
        return Ways()

    def make_task(self):
        return small_task()


def test_the_decision_that_learns_is_favoured():
    study = nas.search(
        ImageClassification(limit=300, batch_size=16, training=nas.Training(lr=0.03)),
        space=Ways(),
        strategy=GradientSearch(epochs=3),
        trials=2,
        epochs=1,
        progress=False,
    )
    assert [trial.architecture.genotype[0] for trial in study.trials] == ["pixels"] * 2
    assert study.trials[0].architecture != study.trials[1].architecture, "every trial is a search of its own"


class Broken(Ways):
    def relaxed(self, task):
        raise RuntimeError("no such network")


def test_a_search_that_fails_is_a_failed_trial():
    study = nas.search(small_task(), space=Broken(), strategy=GradientSearch(), trials=1, epochs=1, progress=False)
    assert study.trials[0].state == "failed"
    assert "no such network" in study.trials[0].failure.message


def test_what_cannot_be_is_refused():
    for options in ({"epochs": 0}, {"time_limit": 0.0}):
        with pytest.raises(SpecError, match=next(iter(options))):
            GradientSearch(**options)
    with pytest.raises(SpecError, match="Relaxes"):
        nas.search(
            small_task(),
            space=nas.component("tabular_mlp"),
            strategy=GradientSearch(),
            trials=1,
            epochs=1,
            progress=False,
        )
