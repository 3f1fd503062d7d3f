"""Predictions of metrics, and whether their intervals hold what they promise."""

from __future__ import annotations

import json

import numpy as np
import pytest
from nasplug_bogk.prediction import Surrogate, _conformal, _Scale, predict_metric

import nasplug as nas
from nasplug.cli import main
from nasplug.contract.errors import SpecError, StudyError
from nasplug.testing import SyntheticEvaluator, SyntheticSpace, run_search
from nasplug.testing.synthetic import accuracy


@pytest.fixture(scope="module")
def study():
    return run_search("random", trials=60, evaluator=SyntheticEvaluator(noise=0.02), epochs=9)


def untrained(study, count, seed=0):
    seen = {trial.architecture.key for trial in study.trials}
    rng = np.random.default_rng(seed)
    drawn = (study.space.sample(rng) for _ in range(10 * count))
    return list({each.key: each for each in drawn if each.key not in seen}.values())[:count]


def test_new_networks_are_inside_as_often_as_promised(study):
    surrogate = Surrogate(study, level=0.8)
    fresh = untrained(study, 300)
    rng = np.random.default_rng(1)
    truth = np.array([accuracy(tuple(map(int, study.space.vector(a))), 9) for a in fresh])
    results = truth + 0.02 * rng.standard_normal(len(fresh))
    found = surrogate.predict(fresh)
    inside = [p.low <= y <= p.high for p, y in zip(found, results, strict=True)]
    assert 0.7 < np.mean(inside) < 0.93
    assert np.corrcoef([p.mean for p in found], truth)[0, 1] > 0.9
    assert all(p.low <= p.mean <= p.high for p in found)
    assert surrogate.calibration.rmse < 0.5 * surrogate.calibration.spread


def test_costs_are_predicted_on_a_logarithmic_scale(study):
    fresh = untrained(study, 50)
    found = predict_metric(study, fresh, "params")
    assert min(p.low for p in found) > 0
    truth = [sum(4.0 ** study.space.vector(a)[i] for i in range(6)) for a in fresh]
    assert np.corrcoef(np.log([p.mean for p in found]), np.log(truth))[0, 1] > 0.9


def test_a_space_without_graphs_is_predicted_by_its_decisions():
    class Rates(nas.ChoiceSpace):
        def __init__(self):
            super().__init__("rates", [nas.Choice("op", ("a", "b", "c")), nas.Choice("rate", nas.FloatRange(0.0, 1.0))])

        def build(self, architecture, task):
            raise NotImplementedError

    class Valley:
        objectives = {"loss": "min"}  # noqa: RUF012

        @nas.hookimpl
        def evaluate(self, run):
            op, rate = run.trial.architecture.genotype
            return nas.Evaluation({"loss": (rate - 0.5) ** 2 + 0.1 * "abc".index(op)})

    study = run_search("random", space=Rates(), evaluator=Valley(), trials=60)
    low, high = predict_metric(study, [study.space.architecture(g) for g in (("a", 0.5), ("c", 0.99))])
    assert low.mean < 0.06 < 0.3 < high.mean


def test_scales_are_inverted():
    values = np.array([0.1, 0.5, 0.9])
    for scale in (_Scale.of(values, "val_acc"), _Scale.of(values, "loss"), _Scale.of(values - 0.4, "loss")):
        assert scale.back(scale.forward(values)) == pytest.approx(values)
    assert [_Scale.of(v, n).kind for v, n in ((values, "val_acc"), (values, "loss"), (values - 1, "loss"))] == [
        "missing",
        "logarithm",
        "plain",
    ]
    assert _Scale.of(100 * values, "val_acc").top == 100.0


def test_the_factor_counts_a_further_result():
    errors = np.arange(1.0, 10.0)  # nine of them
    assert _conformal(errors, 0.5) == 5.0
    assert _conformal(errors, 0.9) == 9.0


def test_the_command(tmp_path, capsys):
    path = str(tmp_path / "s.sqlite")
    run_search("random", trials=20, storage=path, epochs=9)
    assert main(["predict-metric", path, "--trust", "--candidates", "30", "--top", "2"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("[") == 2
    assert "intervals of 90%, from 20 trials" in shown
    genotype = json.dumps(["wide", "skip"] * 3)
    assert main(["predict-metric", path, "--trust", "--metric", "params", "--genotype", genotype, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["metric"] == "params"
    (prediction,) = found["predictions"]
    assert prediction["low"] < prediction["mean"] < prediction["high"]


def test_refuses(study):
    with pytest.raises(SpecError, match="no trial has the metric 'val_ac'"):
        Surrogate(study, "val_ac")
    with pytest.raises(SpecError, match="level"):
        Surrogate(study, level=1.0)
    with pytest.raises(StudyError, match="10 are needed"):
        Surrogate(run_search("random", space=SyntheticSpace(), trials=9))
