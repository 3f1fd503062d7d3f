"""What a trial has over the baseline."""

from __future__ import annotations

import pytest

from nasplug.contract.errors import StorageError
from nasplug.contract.records import BASELINE, Architecture, Objective, Proposal, Trial
from nasplug.ledger.comparison import compared, described, difference_json, read_baseline

OBJECTIVES = [Objective("val_acc", "max"), Objective("val_loss", "min"), Objective("latency_s", "min")]


def trial(number, state="complete", **values):
    costs = {name: value for name, value in values.items() if name in ("params", "macs", "latency_s")}
    metrics = {name: value for name, value in values.items() if name not in costs}
    proposal = Proposal(Architecture("any", (number,), str(number)))
    return Trial(number, proposal, state, metrics=metrics, costs=costs, label=f"net{number}")


def test_costs_are_ratios_and_metrics_differences():
    base = trial(BASELINE, val_acc=0.9, val_loss=0.4, latency_s=0.02, params=12_300_000, macs=100)
    found = compared(trial(0, val_acc=0.897, val_loss=0.5, latency_s=0.04, params=1e6, macs=100), base, OBJECTIVES)
    assert list(map(str, found)) == [
        "val_acc -0.3 points", "val_loss +0.1", "latency_s 2x larger", "params 12.3x smaller", "macs the same",
    ]  # fmt: skip


def test_what_is_missing_zero_or_not_finite_is_no_ratio():
    base = trial(BASELINE, val_acc=float("nan"), val_loss=0.4, latency_s=0.0, params=5)
    found = compared(trial(0, val_acc=0.9, val_loss=0.4, latency_s=0.5), base, OBJECTIVES)
    assert [(each.name, each.kind, each.value) for each in found] == [
        ("val_loss", "difference", 0.0), ("latency_s", "difference", 0.5)
    ]  # fmt: skip


def test_nothing_is_compared_with_what_has_no_result():
    assert compared(trial(0, val_acc=0.9), None, OBJECTIVES) == []
    assert difference_json(trial(0, val_acc=0.9), trial(BASELINE, "pruned", val_acc=0.9), OBJECTIVES) is None


def test_sentences():
    assert described(trial(BASELINE, val_acc=0.9, params=5), OBJECTIVES).endswith("is trained: val_acc 0.9, params 5")
    failed = trial(BASELINE, "pruned").with_(reason="too slow")
    assert described(failed, OBJECTIVES).endswith("goes on without it: too slow")


def test_records_of_a_file():
    assert read_baseline({}) is None
    with pytest.raises(StorageError, match="baseline"):
        read_baseline({"baseline": {"trial": {"number": "two"}}})
