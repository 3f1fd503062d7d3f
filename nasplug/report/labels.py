"""What a network is called on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasplug.contract.errors import NasplugError
from nasplug.contract.labels import shortened
from nasplug.report.formats import text

if TYPE_CHECKING:
    from nasplug.contract.protocols import SearchSpace
    from nasplug.contract.records import Trial
    from nasplug.ledger.study import Study

#: Length of a label in a heading or a table; whole labels stand in the details of a trial.
LONGEST = 160


def space_of(study: Study) -> SearchSpace | None:
    """Returns the search space, or None where the study was opened without it."""
    try:
        return study.space
    except NasplugError:
        return None


def label(study: Study, trial: Trial, limit: int = LONGEST) -> str:
    """Returns what the trial's network is called, see `study.label`, in one line of at most `limit` characters.

    Args:
        study: Study of the trial.
        trial: Trial whose network is meant.
        limit: Number of characters.
    """
    return shortened(text(study.label(trial)), limit)


def heading(study: Study, trial: Trial) -> str:
    """Returns `label, trial 7`, as a heading or an alternative text names a trial.

    Args:
        study: Study of the trial.
        trial: Trial to name.
    """
    return f"{label(study, trial, 80)}, trial {trial.number}"
