"""Which trials of a large study stand on the page one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nasplug.contract.records import Trial
from nasplug.contract.wording import plural
from nasplug.report import series

if TYPE_CHECKING:
    from nasplug.ledger.study import Study

#: Number of trials on a page; all of a study that has no more.
MOST = 4000
#: Number of the best and of the latest trials that are always there.
BEST, LATEST = 400, 100


def selected(study: Study, ranking: Sequence[Trial], most: int = MOST) -> tuple[list[Trial], str]:
    """Returns the trials to show, ascending by number, and the rule as a sentence; the sentence is empty for all.

    The Pareto front, the best and the latest trials are always among them; the others are evenly spaced by number, so
    that their distribution is that of the study.

    Args:
        study: The study.
        ranking: Complete trials, best first, see `nasplug.report.series.ranking`.
        most: Number of trials beyond which some are left out; the front and the best may exceed it.
    """
    trials = list(study.trials)
    if len(trials) <= most:
        return sorted(trials, key=lambda trial: trial.number), ""
    chosen = {trial.number: trial for trial in (*series.front(study), *ranking[:BEST], *trials[-LATEST:])}
    kept = len(chosen)
    rest = evenly([trial for trial in trials if trial.number not in chosen], max(0, most - kept))
    chosen.update((trial.number, trial) for trial in rest)
    rule = (
        f"This page holds {len(chosen):,} of all {plural(len(trials), 'trial')}: the whole Pareto front, the best "
        f"{min(BEST, len(ranking)):,}, the latest {LATEST}, and {len(rest):,} of the others, evenly spaced by number. "
        "Counts, best values and hypervolume are those of all trials."
    )
    return [chosen[number] for number in sorted(chosen)], rule


def evenly(trials: Sequence[Trial], count: int) -> list[Trial]:
    """Returns `count` trials with equal distances in the sequence, or all if there are no more.

    Args:
        trials: Trials to choose from.
        count: Number of trials to return.
    """
    if len(trials) <= count:
        return list(trials)
    return [trials[index * len(trials) // count] for index in range(count)]
