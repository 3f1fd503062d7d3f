"""A plugin that fails in every trial alike ends the run, before it has spent the budget."""

from __future__ import annotations

import re

from nasplug.contract.errors import PluginError
from nasplug.contract.records import Trial
from nasplug.contract.wording import plural

#: Number of first trials that fail alike until the run ends.
GIVE_UP_AFTER = 5


class GiveUp:
    """Counts trials that fail in the hook of one plugin, for the same reason, before any trial has a result.

    Args:
        after: Number of such trials.
    """

    def __init__(self, after: int = GIVE_UP_AFTER) -> None:
        self._after, self._reason, self._count, self._over = after, "", 0, False

    def observe(self, trial: Trial, *, ran: bool) -> None:
        """Takes note of a finished trial.

        Args:
            trial: The trial.
            ran: Whether it ran just now; those of an earlier run, whose plugins may have been mended, do not count.

        Raises:
            PluginError: It is one too many.
        """
        failure = trial.failure
        if failure is None:
            self._over = True
        if self._over or failure is None or not ran:
            return
        reason = re.sub(r"\d+", "#", failure.message) if failure.plugin else ""
        self._count = self._count + 1 if reason and reason == self._reason else 1 if reason else 0
        self._reason = reason
        if self._count >= self._after:
            raise PluginError(
                f"failed in the same way in each of {plural(self._count, 'trial')}, and no trial has a result",
                where=failure.plugin,
                why=failure.message,
                fix="fix the plugin, then resume with --retry-failed error (retry_failed= in Python)",
            )
