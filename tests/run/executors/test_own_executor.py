"""Executors from packages (C8): found by name, checked, and free to run trials anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

import nasplug as nas
from nasplug.contract.errors import PluginError, SpecError, UnknownNameError
from nasplug.run.api import run_spec

SUPPORT = Path(__file__).parents[2] / "support"
PLUGINS = [str(SUPPORT / "working_plugin.py"), str(SUPPORT / "threads_plugin.py")]


def with_executor(working, executor, strategy="random", **keys):
    run = {"batch": 4, "workers": 3, **keys.pop("run", {})}
    return working(strategy, run={**run, "executor": executor}, plugins=PLUGINS, **keys)


@pytest.mark.parametrize(
    "strategy", ["random", {"regularized_evolution": {"population_size": 4, "tournament_size": 2}}, "workshop"]
)
def test_threads_give_the_trials_of_the_driver_alone(working, outcome, strategy):
    threads = run_spec(with_executor(working, "threads", strategy, trials=12))
    inline = run_spec(with_executor(working, "inline", strategy, trials=12, run={"workers": 1}))
    assert outcome(threads) == outcome(inline)
    assert len(threads.trials) == 12


def test_its_arguments_are_in_the_specification_and_it_may_change_on_resume(working, tmp_path, outcome):
    file = str(tmp_path / "s.sqlite")
    run_spec(with_executor(working, {"threads": {"name": "mine"}}, trials=5, run={"storage": file}))
    study = run_spec(with_executor(working, "inline", trials=9, run={"storage": file, "workers": 1}))
    assert outcome(study) == outcome(run_spec(with_executor(working, "threads", trials=9)))
    with pytest.raises(SpecError, match="nam"):
        run_spec(with_executor(working, {"threads": {"nam": "mine"}}))


def test_trackers_are_called_in_the_thread_of_the_driver(working):
    import threading

    class Watch(nas.Tracker):
        def __init__(self):
            self.threads, self.steps = set(), 0

        def measured(self, number, measurement):
            self.threads.add(threading.current_thread())
            self.steps += 1

    watch = Watch()
    run_spec(with_executor(working, "threads"), trackers=[watch])
    assert watch.threads == {threading.main_thread()}
    assert watch.steps == 9 * 3


def test_an_unknown_executor_is_named_with_those_that_there_are(working):
    with pytest.raises(UnknownNameError, match="there is no executor 'thread'") as caught:
        run_spec(with_executor(working, "thread"))
    assert "threads" in str(caught.value)


def test_an_executor_without_a_method_is_refused_before_anything_runs(working, tmp_path):
    with pytest.raises(PluginError, match="lacks finished"):
        run_spec(with_executor(working, "deaf", run={"storage": str(tmp_path / "s.sqlite")}))
    assert not (tmp_path / "s.sqlite").exists()


def test_a_time_limit_needs_an_executor_that_can_end_jobs(working):
    with pytest.raises(SpecError, match="time limit"):
        run_spec(with_executor(working, "threads", run={"time_limit": 3.0}))
