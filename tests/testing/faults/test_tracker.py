"""Faults that the suite for trackers finds."""

from __future__ import annotations

import random

import pytest

import nasplug as nas
from nasplug.builtin.trackers import JsonLines
from nasplug.testing import TrackerConformance
from tests.testing.faults import WRONG


class TestNothing(TrackerConformance):
    def make_tracker(self):
        return nas.Tracker()


class TestJsonLines(TrackerConformance):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path):
        self.path = tmp_path / "log.jsonl"

    def make_tracker(self):
        return JsonLines(str(self.path))


class Hopeful(nas.Tracker):
    """Believes that every trial has a result."""

    def observed(self, trial):
        self.best = trial.metrics["val_acc"]


class Counting(nas.Tracker):
    """Believes that every trial was submitted."""

    def __init__(self):
        self.running = {}

    def submitted(self, trial):
        self.running[trial.number] = trial

    def observed(self, trial):
        self.running.pop(trial.number)


class Meddling(nas.Tracker):
    """Rounds what it is shown."""

    def observed(self, trial):
        for name, value in trial.metrics.items():
            trial.metrics[name] = round(value, 2)


class Meddles(nas.Tracker):
    """Rounds the steps that it is shown."""

    def measured(self, number, measurement):
        for name, value in measurement.metrics.items():
            measurement.metrics[name] = round(value, 1)


class Drawing(nas.Tracker):
    def measured(self, number, measurement):
        self.shown = random.random() < 0.1


class Summing(nas.Tracker):
    """Believes that there is a best trial in the end."""

    def started(self, study, plan):
        self.study = study

    def ended(self):
        self.best = self.study.best


class Short:
    """Is not derived from the base class, and lacks what the next version may need."""

    def observed(self, trial):
        pass


@pytest.mark.parametrize(
    ("tracker", "test"),
    [
        (Hopeful, "test_it_follows_whatever_happens"),
        (Counting, "test_it_follows_whatever_happens"),
        (Meddling, "test_it_follows_whatever_happens"),
        (Meddles, "test_it_changes_nothing"),
        (Drawing, "test_it_follows_whatever_happens"),
        (Summing, "test_a_run_without_any_trial"),
        (Short, "test_it_follows_whatever_happens"),
    ],
)
def test_trackers(tracker, test):
    suite = type("Suite", (TrackerConformance,), {"make_tracker": lambda self: tracker()})()
    with pytest.raises(WRONG):
        getattr(suite, test)()
