"""The data of the page: complete, compact, and unable to leave their element."""

from __future__ import annotations

import json
import math

import pytest

import nasplug as nas
from nasplug.ledger.ledger import Ledger
from nasplug.report import payload as module
from nasplug.report import series
from nasplug.report.payload import encode, payload


def data_of(study):
    return json.loads(encode(payload(study, "title", series.ranking(study))))


@pytest.fixture(scope="module")
def data(study):
    return data_of(study)


def test_columns_are_as_long_as_there_are_trials(data, study):
    count = len(study.trials)
    for name in ("number", "state", "label", "key", "seconds", "epochs", "ok", "front", "place", "note"):
        assert len(data[name]) == count, name
    for part in ("values", "hyper"):
        assert data[part]
        assert all(len(column) == count for column in data[part].values())
    assert all(len(choice["at"]) == count for choice in data["choices"])


def test_they_say_what_the_study_says(data, study):
    front = {trial.number for trial in study.pareto()}
    for i, number in enumerate(data["number"]):
        trial = study.trial(number)
        assert module.STATES[data["state"][i]] == trial.state
        assert data["ok"][i] == study.is_candidate(trial)
        assert data["front"][i] == (number in front)
        assert data["label"][i] == study.space.label(trial.architecture)
        wanted = trial.metrics.get("params")
        assert data["values"]["params"][i] == (None if wanted is None else pytest.approx(wanted, rel=1e-5))
        for place, choice in enumerate(data["choices"]):
            assert choice["options"][choice["at"][i]] == trial.architecture.genotype[place]
    assert data["place"][data["number"].index(study.best.number)] == 0
    assert data["best"][-1][0] == study.best.number
    assert "test_acc" not in data["values"]


def test_notes_say_why(data, study):
    notes = dict(zip(data["number"], data["note"], strict=True))
    failed = next(trial for trial in study.trials if trial.state == "failed")
    assert notes[failed.number].startswith(f"{failed.failure.kind}: ")
    broken = next(t for t in study.trials if t.state == "complete" and study.violation(t))
    assert notes[broken.number].startswith("breaks params <= 400000")


def test_curves_are_those_of_the_trials(data, study):
    trial = study.best
    steps, values = data["curves"]["of"][str(trial.number)][str(data["curves"]["metrics"].index("val_acc"))]
    assert steps == [m.step for m in trial.measurements]
    assert values == pytest.approx([m.metrics["val_acc"] for m in trial.measurements], rel=1e-5)
    assert not data["curves"]["cut"]


def test_importance_is_sorted_and_finds_the_cause(make):
    data = data_of(make(trials=200, constraints=[], space="CellSpace"))
    rows = data["importance"]["val_acc"]["rows"]
    assert [share for _, share in rows] == sorted((share for _, share in rows), reverse=True)
    assert {key.split(":")[0] for key, _ in rows} == {"choice", "hyper"}


def test_counters_are_left_out(data):
    assert set(data["info"]) == {"entropy.nodes", "max probability"}


def test_long_curves_are_thinned_and_the_best_come_first(monkeypatch):
    ledger = Ledger.of(None, {"a": "max"})
    for i in range(30):
        steps = tuple(nas.Measurement(s, {"a": i * s * 1e-3, "test_a": 1.0, "epoch": s}) for s in range(1, 501))
        architecture = nas.Architecture("s", (i,), str(i))
        ledger.observe(
            nas.Trial(i, nas.Proposal(architecture), "complete", metrics={"a": float(i)}, measurements=steps)
        )
    monkeypatch.setattr(module, "CURVE_NUMBERS", 2 * module.CURVE_POINTS * 4)
    curves = data_of(ledger.result())["curves"]
    assert curves["metrics"] == ["a"]
    assert list(map(int, curves["of"])) == [29, 28, 27, 26] or set(map(int, curves["of"])) == {26, 27, 28, 29}
    steps = curves["of"]["29"]["0"][0]
    assert (steps[0], steps[-1], len(steps)) == (1, 500, module.CURVE_POINTS)
    assert curves["cut"]


def test_stages_have_curves_of_their_own():
    ledger = Ledger.of(None, {"a": "max"})
    steps = tuple(nas.Measurement(s, {"a": s * 1.0}, stage) for stage in ("fold 1", "fold 2") for s in (1, 2))
    proposal = nas.Proposal(nas.Architecture("s", (1,), "1"))
    ledger.observe(nas.Trial(0, proposal, "complete", metrics={"a": 1.0}, measurements=steps))
    assert data_of(ledger.result())["curves"]["metrics"] == ["a (fold 1)", "a (fold 2)"]


def test_what_is_not_finite_is_null_and_whole_numbers_stay_exact():
    ledger = Ledger.of(None, {"a": "max"})
    for i, value in enumerate((math.nan, math.inf, 11_173_962.0, 0.123456789)):
        proposal = nas.Proposal(nas.Architecture("s", (i,), str(i)))
        ledger.observe(nas.Trial(i, proposal, "complete", metrics={"a": value}))
    assert data_of(ledger.result())["values"]["a"] == [None, None, 11_173_962, 0.123457]


def test_text_cannot_end_the_element():
    evil = "</script><!--<script>&\u2028\u2029"
    raw = encode({evil: [evil]})
    assert not set(raw) & set("<>&\u2028\u2029")
    assert json.loads(raw) == {evil: [evil]}


def with_baseline(study, params=400e3):
    """The study with a network to compare with."""
    from nasplug.contract.records import BASELINE

    study.baseline = nas.Trial(
        BASELINE,
        nas.Proposal(nas.Architecture("baseline", ("resnet18",), "resnet18")),
        "complete",
        metrics={"val_acc": 0.9, "params": params},
        label="resnet18",
    )
    return study


def test_a_baseline_stands_beside_the_trials(make):
    study = with_baseline(make(trials=30))
    data = data_of(study)
    at = data["baseline"]
    assert at == len(study.trials)
    assert data["total"] == 30
    assert (data["label"][at], data["ok"][at], data["front"][at], data["place"][at]) == ("resnet18", 0, 0, None)
    assert data["values"]["params"][at] == 400_000
    assert all(len(choice["at"]) == 30 for choice in data["choices"])
    assert data["best"] == data_of(make(trials=30))["best"]
