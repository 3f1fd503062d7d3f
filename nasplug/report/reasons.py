"""Why trials failed or were pruned, grouped so that a thousand of them can be read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nasplug.contract.records import Trial
from nasplug.contract.wording import plural
from nasplug.report.formats import text

if TYPE_CHECKING:
    from nasplug.ledger.study import Study

#: How many reasons a page lists.
MOST = 12

_NUMBER = re.compile(r"\d[\d_.,e+-]*")


@dataclass(frozen=True, slots=True)
class Group:
    """Trials that ended for one reason.

    Attributes:
        kind: Kind of the failure; empty for pruned trials.
        message: The reason, in the words of the first of them.
        trials: Numbers of the trials.
        traceback: Traceback of the first of them.
    """

    kind: str
    message: str
    trials: tuple[int, ...]
    traceback: str = ""

    @property
    def numbers(self) -> str:
        """The first few numbers."""
        shown = ", ".join(map(str, self.trials[:8]))
        return f"{shown}, …" if len(self.trials) > 8 else shown


def failures(study: Study) -> list[Group]:
    """Failed trials by kind and message, the most frequent first."""
    found: dict[tuple[str, str], list[Trial]] = {}
    for trial in study.trials:
        if trial.failure is not None:
            found.setdefault((trial.failure.kind, _pattern(trial.failure.message)), []).append(trial)
    groups = []
    for (kind, _), trials in found.items():
        failure = trials[0].failure
        assert failure is not None
        lines = "\n".join(text(line) for line in failure.traceback.splitlines())
        groups.append(Group(kind, text(failure.message) or "no message", _numbers(trials), lines))
    return _sorted(groups)


def kinds(study: Study) -> list[tuple[str, int]]:
    """Failed trials per kind, the most frequent first."""
    return Counter(trial.failure.kind for trial in study.trials if trial.failure is not None).most_common()


def pruned(study: Study) -> list[Group]:
    """Pruned trials by reason, the most frequent first."""
    found: dict[str, list[Trial]] = {}
    for trial in study.trials:
        if trial.state == "pruned":
            found.setdefault(_pattern(trial.reason or ""), []).append(trial)
    return _sorted(
        [Group("", text(trials[0].reason or "no reason given"), _numbers(trials)) for trials in found.values()]
    )


def rest(groups: Sequence[Group]) -> str:
    """A sentence about the groups beyond `MOST`; empty if there are none."""
    others = groups[MOST:]
    count = sum(len(group.trials) for group in others)
    return f"Not shown: {plural(len(others), 'rarer reason')} of {plural(count, 'trial')}." if others else ""


def _numbers(trials: Sequence[Trial]) -> tuple[int, ...]:
    return tuple([trial.number for trial in trials])


def _sorted(groups: list[Group]) -> list[Group]:
    return sorted(groups, key=lambda group: (-len(group.trials), group.trials))


def _pattern(message: str) -> str:
    """The message without its numbers: two trials that broke one bound by different amounts have one reason."""
    return _NUMBER.sub("#", message)
