from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import nasplug as nas
from nasplug.builtin.stoppers import MedianStopper, Patience
from nasplug.contract.errors import SpecError
from nasplug.contract.records import Architecture, Measurement, Proposal, Trial
from nasplug.evaluate.trialrun import TrialRun
from nasplug.ledger.ledger import Ledger
from nasplug.ledger.view import StudyView


def curve(number: int, *values: float, state: str = "complete", **more) -> Trial:
    measurements = tuple(Measurement(step + 1, {"acc": value, "loss": 1 - value}) for step, value in enumerate(values))
    proposal = Proposal(Architecture("toy", (number,), str(number)))
    return Trial(number, proposal, state=state, measurements=measurements, **more)


def study_of(*trials: Trial, objectives=(("acc", "max"),)) -> StudyView:
    return Ledger.of(None, dict(objectives), trials=trials).view


def ask(stopper: MedianStopper, study: StudyView, *values: float) -> str | None:
    running = curve(99, *values, state="running")
    run = TrialRun(running, study)
    for measurement in running.measurements[:-1]:
        run.report(measurement)
    return stopper.should_prune(run, running.measurements[-1])


EARLIER = [curve(n, 0.1 * n, 0.1 * n + 0.1) for n in range(1, 6)]  # at step 2: 0.2 ... 0.6, median 0.4


@pytest.mark.parametrize("objectives", [(("acc", "max"),), (("loss", "min"),)])
def test_median_in_both_directions(objectives):
    study, stopper = study_of(*EARLIER, objectives=objectives), MedianStopper(warmup=0)
    assert ask(stopper, study, 0.0, 0.39).startswith("median: at step 2")
    assert ask(stopper, study, 0.0, 0.40) is None
    assert ask(stopper, study, 0.0, 0.41) is None


def test_the_best_so_far_counts_and_not_the_last():
    assert ask(MedianStopper(), study_of(*EARLIER), 0.45, 0.0) is None


def test_warmup_interval_and_minimum_of_trials():
    study = study_of(*[curve(n, *[0.9] * 6) for n in range(5)])
    stops = [ask(MedianStopper(warmup=2, every=3), study, *[0.0] * steps) is not None for steps in range(1, 7)]
    assert stops == [False, False, False, False, True, False]
    assert ask(MedianStopper(trials=6), study, 0.0, 0.0) is None
    assert ask(MedianStopper(trials=5), study, 0.0, 0.0)


def test_only_trials_that_reached_the_step_count():
    short = [curve(n, 0.9) for n in range(10, 20)]
    failed = [curve(n, 0.9, 0.9, state="failed") for n in range(20, 30)]
    copies = [curve(n, 0.9, 0.9, copied_from=1) for n in range(30, 40)]
    study = study_of(*EARLIER, *short, *failed, *copies)
    assert ask(MedianStopper(), study, 0.0, 0.41) is None
    assert ask(MedianStopper(), study, 0.0, 0.39)


def test_with_several_objectives_only_if_behind_in_all():
    trials = [
        trial.with_(measurements=tuple(Measurement(m.step, {**m.metrics, "f1": 0.5}) for m in trial.measurements))
        for trial in EARLIER
    ]
    study = study_of(*trials, objectives=(("acc", "max"), ("f1", "max"), ("params", "min")))
    running = trials[0]
    for f1, stops in ((0.6, False), (0.4, True)):
        now = Measurement(2, {"acc": 0.0, "f1": f1})
        run = TrialRun(running.with_(measurements=()), study)
        assert (MedianStopper().should_prune(run, now) is not None) is stops


def test_nan_is_behind():
    assert ask(MedianStopper(), study_of(*EARLIER), float("nan"), float("nan"))


def test_costs_alone_stop_nobody():
    assert ask(MedianStopper(), study_of(*EARLIER, objectives=(("params", "min"),)), 0.0, 0.0) is None


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (MedianStopper, {"warmup": -1}),
        (MedianStopper, {"trials": 0}),
        (MedianStopper, {"every": 0}),
        (Patience, {"epochs": 0}),
        (Patience, {"min_delta": -1.0}),
    ],
)
def test_nonsense_is_refused(make, arguments):
    with pytest.raises(SpecError):
        make(**arguments)


@pytest.fixture
def project(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "support"))
    return importlib.import_module("user_project")


def search(project, **arguments):
    task = nas.LightningTask(project.LitDigits, project.DigitsData(), input_shape=(1, 8, 8), outputs=10)
    return nas.search(task, space=project.Widths(), progress=False, **arguments)


def test_median_prunes_in_a_real_search_as_the_rule_says(project):
    stopper = MedianStopper(warmup=1, trials=2)
    study = search(project, trials=8, epochs=3, batch=1, stoppers=[stopper], remeasure=True)
    pruned = [trial for trial in study.trials if trial.state == "pruned"]
    assert pruned
    for trial in study.trials:
        seen = study_of(*study.trials[: trial.number], objectives=(("val_acc", "max"),))
        run, reasons = TrialRun(trial, seen), []
        for measurement in trial.measurements:
            reasons.append(stopper.should_prune(run, measurement))
            run.report(measurement)
        assert reasons[:-1] == [None] * (len(reasons) - 1)
        assert trial.reason == (reasons[-1] if trial.state == "pruned" else None)
        assert len(trial.measurements) == 3 or trial.state == "pruned"


def test_patience_ends_a_training_that_stays_complete(project):
    stopper = nas.component("patience", epochs=2, min_delta=10.0)  # nothing ever improves by ten
    trial = search(project, trials=1, epochs=30, stoppers=[stopper]).best
    assert len(trial.measurements) == 3
    assert trial.reason is None
