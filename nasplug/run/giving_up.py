"""Trials that fail alike, one after the other, end the run before it has spent the budget."""

from __future__ import annotations

import re

from nasplug.contract.errors import PluginError, StudyError
from nasplug.contract.records import Trial
from nasplug.contract.wording import plural

#: Number of first trials that fail alike until the run ends, unless `run.give_up_after` says another one.
GIVE_UP_AFTER = 5

#: A loss that is not finite is the candidate's own, such as one with a large learning rate.
_OWN = ("nan",)


class GiveUp:
    """Counts trials that fail for the same reason, before any trial has a result.

    Args:
        after: Number of such trials; 0 never ends the run.
    """

    def __init__(self, after: int = GIVE_UP_AFTER) -> None:
        self._after, self._reason, self._count, self._over = after, "", 0, after == 0

    def observe(self, trial: Trial, *, ran: bool) -> None:
        """Takes note of a finished trial.

        Args:
            trial: The trial.
            ran: Whether it ran just now; those of an earlier run, whose cause may have been fixed, do not count.

        Raises:
            PluginError: It is one too many, and a plugin is to blame.
            StudyError: It is one too many.
        """
        failure = trial.failure
        if failure is None:
            self._over = True
        if self._over or failure is None or not ran:
            return
        reason = (
            "" if failure.kind in _OWN else re.sub(r"\d+", "#", f"{failure.plugin} {failure.kind} {failure.message}")
        )
        self._count = self._count + 1 if reason and reason == self._reason else 1 if reason else 0
        self._reason = reason
        if self._count < self._after:
            return
        what = f"failed in the same way in each of {plural(self._count, 'trial')}, and no trial has a result"
        again = f"then resume with --retry-failed {failure.kind} (retry_failed= in Python)"
        if failure.plugin:
            raise PluginError(what, where=failure.plugin, why=failure.message, fix=f"fix the plugin, {again}")
        raise StudyError(
            what,
            where="hook evaluate",
            why=failure.message,
            fix=f"fix the module, the data or the space, {again}; run.give_up_after: 0 goes on in any case",
        )
