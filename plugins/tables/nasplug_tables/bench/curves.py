"""From what a search queried to what it would have been worth: the conventions of the literature, by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nasplug.contract.errors import SpecError, did_you_mean
from nasplug.contract.wording import plural
from nasplug_tables.benchmark import TabularBenchmark, direction

Floats = npt.NDArray[np.float64]

#: How a curve is read off the queries, and who reports it so.
CONVENTIONS: dict[str, str] = {
    "incumbent_test": "mean test value of the architecture that looked best so far in what the search observed; the "
    "honest one, since a user has nothing else to choose by",
    "validation": "mean value, in the searched metric itself, of the architecture that looked best so far",
    "best_test": "best mean test value among all queries so far, which no user could pick out; optimistic, and common "
    "in papers",
}


class Scale:
    """Turns values of a benchmark into regret in percentage points of its best.

    Args:
        benchmark: The table.
        objective: Metric the searches saw.
        test: Metric that counts in the end.
        convention: One of `CONVENTIONS`.

    Attributes:
        optimum: Best mean value of the metric that counts, in the unit of the table.
        unit: `percentage points`, or the metric's own unit where it is not an accuracy.
        floor: Regret of the architecture whose mean value in the searched metric is the best of the table: what a
            perfect search ends with that sees nothing else. 0 where the best test value may be picked out.

    Raises:
        SpecError: Unknown convention.
        DataError: Unknown metric.
    """

    def __init__(self, benchmark: TabularBenchmark, objective: str, test: str, convention: str) -> None:
        if convention not in CONVENTIONS:
            raise SpecError(
                f"there is no convention {convention!r}", where="bench", fix=did_you_mean(convention, CONVENTIONS)
            )
        self.convention, self.objective, self.test = convention, objective, test
        counted = objective if convention == "validation" else test
        self._seen_sign = 1.0 if direction(objective) == "max" else -1.0
        self._sign = 1.0 if direction(counted) == "max" else -1.0
        self.optimum = benchmark.best(counted)[0]
        self._values = benchmark.values(counted)
        share = direction(counted) == "max" and np.nanmax(np.abs(self._values)) <= 1.0
        self._factor = 100.0 if share else 1.0
        self.unit = "percentage points" if direction(counted) == "max" else counted
        chosen = benchmark.best(objective)[1]
        lost = self._factor * self._sign * (self.optimum - float(self._values[chosen]))
        self.floor = 0.0 if convention == "best_test" else lost

    def regret(self, rows: npt.NDArray[np.int64], observed: Floats) -> Floats:
        """Regret after each query, shape (queries,); NaN before the first query that has a value.

        Args:
            rows: Row of the table for each query, -1 where the trial failed.
            observed: Objective as the search saw it, NaN where the trial failed.
        """
        known = rows >= 0
        true = np.where(known, self._values[rows], np.nan)
        if self.convention == "best_test":
            best = np.fmax.accumulate(self._sign * true)
        else:
            seen = np.where(known & ~np.isnan(observed), self._seen_sign * observed, -np.inf)
            running = np.maximum.accumulate(seen)
            # Index of the first query that reached the running best.
            new = np.concatenate([[True], seen[1:] > running[:-1]]) if len(seen) else np.zeros(0, bool)
            chosen = np.maximum.accumulate(np.where(new, np.arange(len(seen)), 0))
            best = np.where(np.isfinite(running), self._sign * true[chosen], np.nan)
        found: Floats = self._factor * (self._sign * self.optimum - best)
        return found


def bands(curves: Floats) -> dict[str, Any]:
    """Mean and standard error over the first axis of curves of shape (seeds, queries)."""
    count = len(curves)
    spread = curves.std(axis=0, ddof=1) / np.sqrt(count) if count > 1 else np.zeros(curves.shape[1])
    return {"mean": curves.mean(axis=0), "standard_error": spread}


def random_search(benchmark: TabularBenchmark, queries: int, seeds: int, seed: int = 0) -> npt.NDArray[np.int64]:
    """Rows that random search without repetitions queries, drawn uniformly from the table; all at once.

    The same law as the strategy `random` on a complete table, thousands of runs in a second: for baselines whose
    standard error should not matter.

    Args:
        benchmark: The table.
        queries: Number of queries per run.
        seeds: Number of runs.
        seed: Seed of all draws.

    Returns:
        Shape (seeds, queries).

    Raises:
        SpecError: More queries than rows.
    """
    if queries > len(benchmark.table):
        raise SpecError(
            f"{plural(queries, 'distinct query')} asked of a table of {plural(len(benchmark.table), 'row')}",
            where="random_search",
        )
    rng = np.random.default_rng(seed)
    total = len(benchmark.table)
    if 4 * queries > total:  # so many repetitions that shuffling the table is quicker
        return np.stack([rng.permutation(total)[:queries] for _ in range(seeds)])
    rows = rng.integers(total, size=(seeds, queries))
    while True:  # replace repetitions until there are none; few are left after the first round
        order = np.argsort(rows, axis=1, kind="stable")
        ordered = np.take_along_axis(rows, order, axis=1)
        repeated = np.zeros_like(rows, dtype=bool)
        np.put_along_axis(repeated[:, :], order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
        count = int(repeated.sum())
        if not count:
            return rows
        rows[repeated] = rng.integers(total, size=count)
