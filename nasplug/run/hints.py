"""What a run says of itself when something is legal and probably not meant."""

from __future__ import annotations

from collections.abc import Sequence

from nasplug.contract.records import Constraint, Trial
from nasplug.contract.wording import plural

#: Number of first trials that break a constraint until the run says so.
HINT_AFTER = 20


def never_satisfied(trials: Sequence[Trial], constraints: Sequence[Constraint]) -> str | None:
    """Returns a hint if a constraint is broken by every trial that has its value.

    Args:
        trials: Finished trials.
        constraints: Constraints of the run.
    """
    for constraint in constraints:
        values = [trial.values[constraint.name] for trial in trials if constraint.name in trial.values]
        if not values or any(constraint.violation({constraint.name: value}) == 0 for value in values):
            continue
        nearest = min(values) if constraint.operator == "<=" else max(values)
        return (
            f"none of {plural(len(values), 'trial')} so far satisfies the constraint {constraint}; "
            f"the nearest value is {nearest:g}. "
            "If no architecture of the space can satisfy it, loosen the bound"
        )
    return None


class Hints:
    """Watches a run for constraints that nothing satisfies.

    Args:
        constraints: Constraints of the run.
        after: Number of trials until it says so.
    """

    def __init__(self, constraints: Sequence[Constraint], after: int = HINT_AFTER) -> None:
        self._constraints, self._after = constraints, after

    def observed(self, trials: Sequence[Trial]) -> str | None:
        """Returns a hint, once, when there are enough trials.

        Args:
            trials: Finished trials.
        """
        if not self._constraints or len(trials) != self._after:
            return None
        return never_satisfied(trials, self._constraints)
