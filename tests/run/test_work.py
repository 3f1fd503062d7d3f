"""Work of a strategy on its way through driver and executors."""

from __future__ import annotations

from pathlib import Path

import pytest

import nasplug as nas
from nasplug.contract.errors import PluginError, SpecError
from nasplug.contract.tracker import Tracker
from nasplug.plugins.discovery import discover
from nasplug.run.api import run_spec
from nasplug.testing import StrategyConformance, outcome, run_search

WORK = str(Path(__file__).parents[1] / "support" / "work_plugin.py")


@pytest.fixture
def spec(toy_spec, toy_path):
    def make(strategy=None, **run):
        return toy_spec(strategy={"trained": strategy or {}}, plugins=[toy_path, WORK], run=run)

    return make


class Heard(Tracker):
    def __init__(self):
        self.said = []

    def worked(self, key, share, metrics):
        self.said.append((key.partition("-")[0], share, metrics))


@pytest.mark.parametrize("executor", ["inline", "process"])
def test_a_strategy_gets_what_it_asked_for(spec, executor):
    heard = Heard()
    study = run_spec(spec(executor=executor), trackers=[heard])
    assert outcome(study) == outcome(run_spec(spec()))
    assert len(study.trials) == 3
    assert heard.said == [("name_networks", 0.5, {"loss": 1.0})]


def test_work_that_fails_with_a_result_hands_over_both(spec):
    study = run_spec(spec({"trouble": "diverges"}))
    assert [trial.failure.kind for trial in study.trials] == ["nan"] * 3
    assert [trial.architecture for trial in study.trials] != [study.trials[0].architecture] * 3
    study = run_spec(spec({"trouble": "raises"}))
    assert study.trials[0].failure.message == "ValueError: nothing fits"
    assert [trial.architecture.genotype for trial in study.trials] == [tuple("aaaaaa")] * 3


def test_work_that_runs_out_of_its_time_says_whose_limit_it_was(spec):
    for strategy, run, whose in [
        ({"time_limit": 0.5}, {"time_limit": 500.0}, "its own"),
        ({}, {"time_limit": 0.5}, "run.time_limit"),
    ]:
        study = run_spec(spec(strategy | {"trouble": "sleeps"}, executor="process", **run))
        assert study.trials[0].failure.kind == "timeout"
        assert f"0.5 s ({whose})" in study.trials[0].failure.message


def test_a_limit_that_nobody_can_keep_is_refused(spec):
    with pytest.raises(SpecError, match="cannot be kept inside one process"):
        run_spec(spec({"time_limit": 5.0}, executor="inline"))


@pytest.fixture
def trained(toy_path):
    return discover([toy_path, WORK]).catalog.get("strategy", "trained").load()


def test_a_view_says_what_is_worked_on(trained):
    strategy = trained()
    run_search(strategy, trials=3)
    assert strategy.seen[0] == (strategy.work.key,)
    assert set(strategy.seen[1:]) == {()}


def test_the_conformance_suite_lets_a_strategy_wait_for_work(trained):
    class Suite(StrategyConformance):
        def make_strategy(self):
            return trained()

    Suite().test_global_random_generators_are_left_alone()

    class Idles:
        @nas.hookimpl
        def propose(self, study, count):
            return []

    class OfIdle(StrategyConformance):
        def make_strategy(self):
            return Idles()

    with pytest.raises((AssertionError, PluginError), match="or work that was asked for"):
        OfIdle().test_global_random_generators_are_left_alone()
