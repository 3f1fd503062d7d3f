"""Who follows a run is told everything, once, in an order that can be relied on."""

from __future__ import annotations

from collections import Counter

import pytest

import nasplug as nas
from nasplug.contract.errors import PluginError
from nasplug.run.api import run_spec
from nasplug.testing import run_search


class Recorder(nas.Tracker):
    def __init__(self):
        self.calls, self.plan, self.known = [], None, []

    def started(self, study, plan):
        self.calls.append(("started", None))
        self.study, self.plan = study, plan

    def submitted(self, trial):
        self.calls.append(("submitted", trial.number))

    def measured(self, number, measurement):
        self.calls.append(("measured", number))

    def worked(self, key, share, metrics):
        self.calls.append(("worked", key))

    def observed(self, trial):
        self.calls.append(("observed", trial.number))
        self.known.append(trial.number in [known.number for known in self.study.trials])

    def ended(self):
        self.calls.append(("ended", None))


@pytest.mark.parametrize("run", [{}, {"executor": "process", "workers": 2}], ids=["inline", "process"])
def test_the_order_of_calls(working, run):
    watch = Recorder()
    run_spec(working("workshop", run={**run, "remeasure": True}), trackers=[watch])  # nothing is copied
    calls = watch.calls
    assert calls[0] == ("started", None)
    assert calls[-1] == ("ended", None)
    assert Counter(name for name, _ in calls) == {
        "started": 1, "submitted": 9, "measured": 27, "worked": 3, "observed": 9, "ended": 1
    }  # fmt: skip
    assert all(watch.known)
    assert [number for name, number in calls if name == "observed"] == list(range(9))
    for number in range(9):
        own = [name for name, who in calls if who == number]
        assert own == ["submitted", "measured", "measured", "measured", "observed"]
    assert watch.plan.trials == 9
    assert watch.plan.workers == run.get("workers", 1)


def test_a_resumed_run_tells_of_the_trials_that_there_are(working, tmp_path):
    spec = working(run={"storage": str(tmp_path / "s.sqlite")})
    run_spec(spec.replace(budget=spec.budget.__class__(4, 3)), snapshot_every=0)
    for every in (0, 1e9):
        watch = Recorder()
        run_spec(spec.replace(budget=spec.budget.__class__(4, 3)), trackers=[watch], snapshot_every=every)
        assert watch.plan.resumed == 4
        assert [name for name, _ in watch.calls] == ["started", *["observed"] * 4, "ended"]


def test_copies_and_trials_that_failed_before_they_ran_are_observed_and_never_submitted(working):
    pairs = [([0, 1, 2, 3], 1), ([0, 1, 2, 3], 1)]
    watch = Recorder()
    run_spec(working({"given": {"pairs": pairs}}, trials=2), trackers=[watch])
    assert [number for name, number in watch.calls if name == "submitted"] == [0]
    assert [number for name, number in watch.calls if name == "observed"] == [0, 1]


def test_the_end_is_told_after_an_error_too(working):
    class Broken:
        @nas.hookimpl
        def propose(self, study, count):
            raise ValueError("broken")

    watch = Recorder()
    with pytest.raises(PluginError, match="broken"):
        run_spec(working(), objects={"strategy": Broken()}, trackers=[watch])
    assert [name for name, _ in watch.calls] == ["started", "ended"]


def test_who_overrides_nothing_hears_nothing():
    assert len(run_search("random", trials=3).trials) == 3
    tracker = nas.Tracker()
    assert tracker.ended() is None
