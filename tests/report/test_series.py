"""The numbers behind the plots, against values worked out by hand or by the study itself."""

from __future__ import annotations

import math

import numpy as np
import pytest

import nasplug as nas
from nasplug.report import facts, reasons, series, tables
from nasplug.report.formats import duration, number, shorten, text

ARCHITECTURE = nas.Architecture("s", (1,), "1")


def ledger(points, objectives=(("a", "max"), ("b", "min")), **options):
    book = nas.Ledger.of(None, dict(objectives), **options)
    for index, values in enumerate(points):
        metrics = dict(zip("abc", values, strict=False))
        book.observe(nas.Trial(index, nas.Proposal(ARCHITECTURE), "complete", metrics=metrics))
    return book.result()


def test_running_best_knows_the_direction():
    assert series.running_best(ledger([(1,), (3,), (2,), (4,)], [("a", "max")])) == [(0, 1), (1, 3), (3, 4)]
    assert series.running_best(ledger([(2,), (3,), (1,)], [("a", "min")])) == [(0, 2), (2, 1)]


def test_running_best_skips_what_breaks_a_constraint():
    study = ledger([(1,), (9,), (2,)], [("a", "max")], constraints=[nas.Constraint.parse("a <= 5")])
    assert series.running_best(study) == [(0, 1), (2, 2)]


def test_hypervolume_by_hand():
    # maximise a, minimise b; worst point (1, 5). (1, 2): 0. (3, 5): 0. (2, 3): 1 x 2. (3, 4): adds 1 x 1.
    study = ledger([(1, 2), (3, 5), (2, 3), (3, 4), (2, 4)])
    reference = series.worst_point(study.trials, study.objectives)
    assert reference == {"a": 1, "b": 5}
    found = series.hypervolume_series(study.trials, study.objectives, reference)
    assert found == [(0, 0), (2, 2), (3, 3)]


def test_hypervolume_ends_where_the_study_says(study):
    reference = series.worst_point(study.candidates(), study.objectives)
    found = series.hypervolume_series(study.candidates(), study.objectives, reference)
    assert found[-1][1] == pytest.approx(study.hypervolume(reference))
    assert [volume for _, volume in found] == sorted(volume for _, volume in found)


def test_provenance_keeps_numbers_that_change():
    infos = [
        {"entropy": 1.0, "deep": {"x": -i}, "constant": 2, "flag": i > 1, "name": "n", "nan": math.nan}
        for i in range(3)
    ]
    infos[2]["entropy"] = 0.5
    infos[0]["rare"] = infos[1]["rare"] = 1
    trials = [nas.Trial(i, nas.Proposal(ARCHITECTURE, info=info)) for i, info in enumerate(infos)]
    assert series.provenance(trials) == {"entropy": [(0, 1), (1, 1), (2, 0.5)], "deep.x": [(0, 0), (1, -1), (2, -2)]}


@pytest.mark.parametrize(
    ("name", "values", "counter"),
    [
        ("generation", [0, 0, 3, 1], True),
        ("a.evaluations", [10, 20, 20, 50], True),  # never falls
        ("member", [0, 1, 2, 0, 1, 2, 0], True),  # counts anew
        ("rung", [0, 0, 1, 0, 2, 1], False),
        ("entropy", [0.5, 1.0, 1.5], False),  # not whole
        ("population", [9, 7, 8, 4], False),
    ],
)
def test_what_only_counts(name, values, counter):
    assert series.counts(name, list(enumerate(map(float, values)))) is counter


def test_hypervolume_in_blocks_is_that_of_one_by_one(monkeypatch):
    rng = np.random.default_rng(0)
    objectives = [nas.Objective("a", "max"), nas.Objective("b", "min"), nas.Objective("c", "max")]
    trials = []
    for i in range(700):
        metrics = {name: float(rng.integers(0, 40)) + i / 50 for name in "abc"}
        trials.append(nas.Trial(i, nas.Proposal(ARCHITECTURE), "complete", metrics=metrics))
    reference = series.worst_point(trials, objectives)
    whole = series.hypervolume_series(trials, objectives, reference)
    monkeypatch.setattr(series, "_AT_ONCE", 1)
    assert series.hypervolume_series(trials, objectives, reference) == whole
    assert len(whole) > 20


def test_ranking_puts_feasible_trials_first():
    study = ledger([(1,), (9,), (2,), (6,)], [("a", "max")], constraints=[nas.Constraint.parse("a <= 5")])
    assert [trial.number for trial in series.ranking(study)] == [2, 0, 3, 1]


def test_ranking_leaves_repeats_out():
    study = ledger([(1,), (2,)], [("a", "max")])
    repeated = nas.Ledger.of(
        None, study.objectives, trials=[*study.trials, study.trials[1].with_(number=2, copied_from=1)]
    )
    study = repeated.result()
    assert [trial.number for trial in series.ranking(study)] == [1, 0]


def test_cost_axis_prefers_the_usual_costs():
    book = nas.Ledger.of(None, {"acc": "max"})
    for i in range(2):
        costs = {"boo/ones": i, "npu/latency_s": i, "macs": 7.0, "params": math.nan}
        book.observe(nas.Trial(i, nas.Proposal(ARCHITECTURE), "complete", metrics={"acc": i}, costs=costs))
    assert series.cost_axis(book.result()) == nas.Objective("npu/latency_s", "min")  # params unknown, macs constant


def test_failures_are_grouped_whatever_their_numbers(study):
    groups = reasons.failures(study)
    failed = [trial.number for trial in study.trials if trial.state == "failed"]
    assert sorted(n for group in groups for n in group.trials) == failed
    assert len(groups) < len(failed)
    assert dict(reasons.kinds(study)) == {
        kind: sum(trial.failure.kind == kind for trial in study.trials if trial.failure)
        for kind in {trial.failure.kind for trial in study.trials if trial.failure}
    }
    pruned = reasons.pruned(study)
    assert len(pruned) == 1
    assert pruned[0].message.startswith("median stopper")


def test_rare_reasons_are_counted():
    groups = [reasons.Group("", str(i), (i, i + 100)) for i in range(reasons.MOST + 3)]
    assert reasons.rest(groups) == "Not shown: 3 rarer reasons of 6 trials."
    assert reasons.rest(groups[: reasons.MOST]) == ""


def test_the_table_marks_front_and_broken_constraints(study):
    everything = series.ranking(study)
    table = tables.trials(study, everything)
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    marked = {int(row["trial"]) for row in rows if row["front"]}
    assert marked == {trial.number for trial in study.pareto()}
    broken = {int(row["trial"]) for row in rows if row["breaks"]}
    assert broken == {t.number for t in study.trials if t.state == "complete" and study.violation(t)}
    assert "test_acc" not in table.columns
    assert dict(zip(table.columns, table.numeric, strict=True))["lr"]
    assert not dict(zip(table.columns, table.numeric, strict=True))["optimiser"]


def test_specification_is_yaml_that_reads_back(study):
    import yaml

    assert yaml.safe_load(facts.specification(study)) == study.meta["spec"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0"),
        (True, "true"),
        (None, "null"),
        ("adam", "adam"),
        (0.98714, "0.9871"),
        (-1.5, "-1.5"),
        (12_345, "12,345"),
        (7_070_000, "7.07 M"),
        (999_950, "1 M"),
        (99_999.5, "100 k"),
        (2.5e13, "25 T"),
        (1.5e-6, "1.5e-06"),
        (math.nan, "not a number"),
        (-math.inf, "−∞"),
    ],
)
def test_numbers(value, expected):
    assert number(value) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0002, "<1 ms"),
        (0.0312, "31 ms"),
        (4.26, "4.3 s"),
        (59.7, "1 min 0 s"),
        (95, "1 min 35 s"),
        (7300, "2 h 1 min"),
        (200_000, "2 d 7 h"),
        (math.nan, "unknown"),
    ],
)
def test_durations(seconds, expected):
    assert duration(seconds) == expected


def test_text_is_printable_and_short():
    assert text("a\x1b[31m\nb\ud800") == "a�[31m b�"
    assert shorten("x" * 50, 9) == "xxxx…xxxx"
    assert len(shorten("abcdefghij", 4)) == 4
