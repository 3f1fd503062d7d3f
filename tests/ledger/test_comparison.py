"""What a trial has over the baseline."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from nasplug.contract.errors import StorageError
from nasplug.contract.records import BASELINE, Architecture, Objective, Proposal, Trial
from nasplug.ledger.comparison import AgainstBaseline, described, read_baseline
from nasplug.ledger.intervals import share_difference

OBJECTIVES = [Objective("val_acc", "max"), Objective("val_loss", "min"), Objective("latency_s", "min")]


def trial(number, state="complete", **values):
    costs = {name: value for name, value in values.items() if name in ("params", "macs", "latency_s")}
    metrics = {name: value for name, value in values.items() if name not in costs}
    proposal = Proposal(Architecture("any", (number,), str(number)))
    return Trial(number, proposal, state, metrics=metrics, costs=costs, label=f"net{number}")


def study(baseline, *trials, samples=None):
    return SimpleNamespace(
        baseline=baseline, trials=list(trials), objectives=OBJECTIVES, meta={"samples": samples or {}}
    )


def against(baseline, one, *others, samples=None):
    return AgainstBaseline(study(baseline, one, *others, samples=samples)).of(one)


def test_costs_are_ratios_and_metrics_differences():
    base = trial(BASELINE, val_acc=0.9, val_loss=0.4, latency_s=0.02, params=12_300_000, macs=100)
    found = against(base, trial(0, val_acc=0.897, val_loss=0.5, latency_s=0.04, params=1e6, macs=100))
    assert list(map(str, found)) == [
        "val_acc -0.3 points", "val_loss +0.1", "latency_s 2x larger", "params 12.3x smaller", "macs the same",
    ]  # fmt: skip


def test_what_is_missing_zero_or_not_finite_is_no_ratio():
    base = trial(BASELINE, val_acc=float("nan"), val_loss=0.4, latency_s=0.0, params=5)
    found = against(base, trial(0, val_acc=0.9, val_loss=0.4, latency_s=0.5))
    assert [(each.name, each.kind, each.value) for each in found] == [
        ("val_loss", "difference", 0.0), ("latency_s", "difference", 0.5)
    ]  # fmt: skip


def test_nothing_is_compared_with_what_has_no_result():
    assert against(None, trial(0, val_acc=0.9)) == []
    failed = study(trial(BASELINE, "pruned", val_acc=0.9), trial(0, val_acc=0.9))
    assert AgainstBaseline(failed).to_json(failed.trials[0]) is None
    base = trial(BASELINE, val_acc=0.9)
    assert AgainstBaseline(study(base)).of(base) == []


def test_a_share_of_samples_has_an_interval():
    base, one = trial(BASELINE, val_acc=0.9, val_loss=0.4), trial(0, val_acc=0.8, val_loss=0.5)
    accuracy, loss = against(base, one, samples={"val_acc": 100})
    low, high = share_difference(0.8, 0.9, 100)
    assert accuracy.to_json() == {"difference": pytest.approx(-0.1), "interval": [low, high], "seeds": 1}
    assert str(accuracy) == f"val_acc -10.0 points [{100 * low:+.1f}, {100 * high:+.1f}]"
    assert loss.interval is None


def test_several_seeds_have_one_of_their_own():
    base = trial(BASELINE, val_acc=0.9)
    alike = [
        trial(number, val_acc=value).with_(proposal=Proposal(Architecture("any", (1,), "1"), seed=number))
        for number, value in enumerate((0.80, 0.82, 0.84))
    ]
    (found,) = against(base, *alike, trial(7, val_acc=0.1), samples={"val_acc": 100})
    assert found.value == pytest.approx(-0.08)
    half = 4.303 * 0.02 * (1 / 3 + 1) ** 0.5  # Student's quantile for two degrees, standard deviation 0.02
    assert found.interval == pytest.approx((-0.08 - half, -0.08 + half), abs=1e-4)
    assert str(found).endswith("over 3 seeds")


def test_sentences():
    assert described(trial(BASELINE, val_acc=0.9, params=5), OBJECTIVES).endswith("is trained: val_acc 0.9, params 5")
    failed = trial(BASELINE, "pruned").with_(reason="too slow")
    assert described(failed, OBJECTIVES).endswith("goes on without it: too slow")


def test_records_of_a_file():
    assert read_baseline({}) is None
    with pytest.raises(StorageError, match="baseline"):
        read_baseline({"baseline": {"trial": {"number": "two"}}})
