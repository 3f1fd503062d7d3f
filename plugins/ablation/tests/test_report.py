"""Rows of the report, and the numbers in them."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from nasplug_ablation.report.effects import Effect
from nasplug_ablation.report.report import HEADER, AblationReport, _row
from nasplug_ablation.report.statistics import MOST, Paired, paired, seeds_to_decide
from nasplug_ablation.strategies.loco import AddOneIn, LeaveOneOut, Pairs
from scipy import stats


def effect(name, mean, what="component", **more):
    difference = None if mean is None else Paired(3, mean, 0.01, mean - 0.02, mean + 0.02, 0.03)
    return Effect(name, what, {0: 0.8, 1: 0.9}, difference, **more)


def test_a_row_says_what_was_measured():
    row = dict(zip(HEADER, _row(effect("se", -0.0512, p=0.03, verdict="helps", params=-120)), strict=True))
    assert (row["component"], row["seeds"], row["difference"]) == ("se", "3", "-0.0512")
    assert row["95 % interval"] == "-0.0712 to -0.0312"
    assert row["metric"].startswith("0.85 ± 0.07")
    assert (row["p (Holm)"], row["verdict"]) == ("0.03", "helps")


def test_a_row_of_what_failed_is_empty_where_nothing_is_known():
    row = dict(zip(HEADER, _row(Effect("se", "component", {}, None, problem="it broke")), strict=True))
    assert (row["seeds"], row["metric"], row["difference"], row["95 % interval"]) == ("0", "", "", "")
    assert row["verdict"] == "failed: it broke"


def test_one_seed_has_no_interval():
    row = dict(zip(HEADER, _row(Effect("se", "component", {0: 0.5}, paired([0.25]))), strict=True))
    assert (row["seeds"], row["difference"], row["95 % interval"]) == ("1", "+0.25", "")


def test_the_largest_differences_come_first_and_steps_keep_their_order():
    effects = [
        *(effect("step 1", 0.01, "step"), effect("none", None), effect("small", 0.1)),
        *(effect("step 2", 0.9, "step"), effect("large", -0.7), effect("middle", 0.3)),
    ]
    found = [row[0] for row in AblationReport.rows(SimpleNamespace(effects=effects))]
    assert found == ["large", "middle", "small", "none", "step 1", "step 2"]


def power(count, effect_size, level):
    """Chance that a paired t test of this many seeds finds the difference: the upper tail, as the other is nearly 0."""
    bound = stats.t.ppf(1 - level / 2, count - 1)
    return stats.nct.sf(bound, count - 1, effect_size * math.sqrt(count))


@pytest.mark.parametrize(("mean", "sd", "comparisons"), [(0.1, 0.05, 1), (0.1, 0.1, 1), (-0.1, 0.2, 5), (0.02, 0.1, 3)])
def test_the_number_of_seeds_is_the_least_with_enough_power(mean, sd, comparisons):
    count, level = seeds_to_decide(mean, sd, comparisons), 0.05 / comparisons
    assert power(count, abs(mean) / sd, level) >= 0.8 > power(count - 1, abs(mean) / sd, level)


def test_a_textbook_example_of_power():
    """G*Power: a paired t test of effect 0.5 at 0.05 has a power of 0.8 from 34 pairs on."""
    assert seeds_to_decide(0.5, 1.0, 1) == 34


def test_what_nobody_can_tell_is_none():
    assert seeds_to_decide(0.1, None, 1) is None
    assert seeds_to_decide(0.0, 0.1, 1) is None
    assert seeds_to_decide(0.1, 0.0, 1) == 2
    assert seeds_to_decide(0.001, 1.0, 1) is None
    assert MOST == 1000


@pytest.mark.parametrize(
    ("strategy", "each"), [(LeaveOneOut([0, 1]), 1 + 5), (AddOneIn([0, 1]), 2 + 5), (Pairs([0, 1]), 1 + 5 + 10)]
)
def test_the_number_of_trials_is_known_beforehand(strategy, each):
    assert strategy.length(5) == 2 * each
