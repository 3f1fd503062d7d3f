from __future__ import annotations

import random

import pytest

from nasplug.contract.errors import SpecError
from nasplug.contract.records import Measurement
from nasplug.evaluate.scoring import Best, Scoring


def measured(*values: float) -> list[Measurement]:
    return [Measurement(step + 1, {"acc": value, "loss": -value}) for step, value in enumerate(values)]


@pytest.mark.parametrize("window", [None, 1, 2, 3, 7])
def test_best_is_the_maximum_of_the_window(window):
    rng = random.Random(0)
    for _ in range(200):
        values = [rng.choice([0.0, 1.0, 2.0, 3.0]) for _ in range(rng.randint(1, 9))]
        best = Best(window)
        for step, value in enumerate(values):
            best.offer(step, value, kept=("weights", step))
        begin = 0 if window is None else max(0, len(values) - window)
        expected = max(range(begin, len(values)), key=lambda step: (values[step], -step))
        assert best.step == expected
        assert best.kept == ("weights", expected)


def test_best_never_keeps_more_than_it_may_need():
    best = Best()
    for step, value in enumerate([3.0, 1.0, 2.0]):
        assert best.wants(value) is (step == 0)
        best.offer(step, value)
    falling = Best(2)
    for step, value in enumerate([3.0, 2.0, 1.0]):
        falling.offer(step, value)
    assert len(falling._kept) == 2


def test_nan_is_never_best_but_counts_for_the_window():
    best = Best(2)
    for step, value in enumerate([5.0, 1.0, float("nan")]):
        best.offer(step, value)
    assert best.step == 1
    best.offer(3, float("nan"))
    assert best.step is None


def test_results():
    measurements = measured(0.1, 0.9, 0.5, 0.7)
    assert Scoring("best").result(measurements, 2) == {"acc": 0.9, "loss": -0.9}
    assert Scoring("last").result(measurements, 2) == {"acc": 0.7, "loss": -0.7}
    assert Scoring("mean", 2).result(measurements, None) == pytest.approx({"acc": 0.6, "loss": -0.6})
    assert Scoring("mean").result(measurements, None)["acc"] == pytest.approx(0.55)


def test_the_mean_leaves_out_metrics_that_some_epoch_lacks():
    measurements = [Measurement(1, {"a": 1.0}), Measurement(2, {"a": 3.0, "b": 1.0})]
    assert Scoring("mean").result(measurements, None) == {"a": 2.0}


@pytest.mark.parametrize("arguments", [("highest", None), ("best", 0)])
def test_nonsense_is_refused(arguments):
    with pytest.raises(SpecError):
        Scoring(*arguments)
