"""What a comparison found: curves per strategy and seed, their statistics, and the file they go to."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nasplug.contract.errors import DataError
from nasplug.contract.jsondata import parse_json
from nasplug.optional import require
from nasplug_tables.bench.curves import Floats, bands

#: Numbers of queries that a printed table shows, as far as the budget goes.
MILESTONES = (10, 20, 50, 100, 150, 200, 300, 500, 1000)


@dataclass(frozen=True)
class Outcome:
    """One strategy's runs.

    Attributes:
        label: Name in the comparison.
        strategy: Specification of the strategy as plain data.
        regret: Shape (seeds, queries).
        rows: Rows of the table that were queried, same shape; -1 for failed trials.
        observed: Objective as the search saw it, same shape; NaN for failed trials.
        finished: Simulated time in seconds at which each query was done, same shape; None without a clock.
        seconds: Wall time of each run, shape (seeds,).
        searched: Regret in the searched metric itself after all queries, shape (seeds,); None in old files.
    """

    label: str
    strategy: Any
    regret: Floats
    rows: Any
    observed: Floats
    finished: Floats | None
    seconds: Floats
    searched: Floats | None = None

    def at(self, queries: int) -> tuple[float, float]:
        """Mean regret after so many queries, and its standard error."""
        found = bands(self.regret[:, queries - 1 : queries])
        return float(found["mean"][0]), float(found["standard_error"][0])


@dataclass(frozen=True)
class Comparison:
    """Strategies side by side on one table.

    Attributes:
        outcomes: Outcomes by label, in the order of the call.
        settings: Everything that decides the numbers: table, metrics, convention, budget, seeds.
        machine: Versions and machine.
    """

    outcomes: Mapping[str, Outcome]
    settings: Mapping[str, Any]
    machine: Mapping[str, Any] = field(default_factory=dict)

    def milestones(self) -> list[int]:
        """Numbers of queries worth a column."""
        last = int(self.settings["queries"])
        return sorted({m for m in MILESTONES if m < last} | {last})

    def p_value(self, label: str, against: str, queries: int | None = None) -> float:
        """Probability that regret this much smaller comes by chance: one-sided Mann-Whitney U test.

        Args:
            label: The strategy that is claimed to be better.
            against: The one it is compared with.
            queries: Numbers of queries to compare after; default: all.

        Raises:
            MissingExtraError: scipy is not installed.
        """
        require("scipy", extra="bench", distribution="nasplug-tables", purpose="test for significance")
        from scipy.stats import mannwhitneyu

        last = (queries or int(self.settings["queries"])) - 1
        first, second = self.outcomes[label].regret[:, last], self.outcomes[against].regret[:, last]
        return float(mannwhitneyu(first, second, alternative="less").pvalue)

    def p_values(self, against: str, queries: int | None = None) -> dict[str, float]:
        """The same for all other strategies, corrected for their number (Holm, Scand. J. Statist. 6, 1979).

        Args:
            against: Label of the strategy that all others are compared with.
            queries: Number of queries to compare after; default: all.

        Returns:
            By label: probability that one of as many comparisons would look like that by chance.

        Raises:
            MissingExtraError: scipy is not installed.
        """
        plain = {label: self.p_value(label, against, queries) for label in self.outcomes if label != against}
        found: dict[str, float] = {}
        largest = 0.0
        for rank, label in enumerate(sorted(plain, key=lambda label: plain[label])):
            largest = max(largest, min(1.0, (len(plain) - rank) * plain[label]))
            found[label] = largest
        return found

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows of the printed table.

        Mean regret and standard error at the milestones, the regret in the searched metric after all queries where
        another one counts, corrected probabilities, and seconds per run.
        """
        milestones = self.milestones()
        baseline = "regularized_evolution" if "regularized_evolution" in self.outcomes else "random"
        chances = self.p_values(baseline) if baseline in self.outcomes else {}
        both = self.settings["convention"] != "validation" and self.settings["test"] != self.settings["objective"]
        both &= all(outcome.searched is not None for outcome in self.outcomes.values())
        last = [f"{self.settings['objective']} @{milestones[-1]}"] if both else []
        header = ["strategy", *(f"@{m}" for m in milestones), *last, f"p < {baseline}", "s/run"]
        rows = []
        for label, outcome in self.outcomes.items():
            cells = ["{:.3f} ±{:.3f}".format(*outcome.at(m)) for m in milestones]
            if both and outcome.searched is not None:
                found = bands(outcome.searched[:, None])
                cells.append(f"{float(found['mean'][0]):.3f} ±{float(found['standard_error'][0]):.3f}")
            p = f"{chances[label]:.2g}" if label in chances else ""
            rows.append([label, *cells, p, f"{outcome.seconds.mean():.2f}"])
        return header, rows

    def to_json(self) -> dict[str, Any]:
        """Plain data with every run."""
        return {
            "settings": dict(self.settings),
            **self.machine,
            "summary": {
                label: {
                    str(m): {"mean": round(mean, 5), "standard_error": round(error, 5)}
                    for m in self.milestones()
                    for mean, error in [outcome.at(m)]
                }
                for label, outcome in self.outcomes.items()
            },
            "strategies": {
                label: {
                    "strategy": outcome.strategy,
                    "seconds_per_run": [round(value, 3) for value in outcome.seconds.tolist()],
                    "regret": rounded(outcome.regret),
                    "rows": outcome.rows.tolist(),
                    "observed": rounded(outcome.observed),
                    "finished": None if outcome.finished is None else rounded(outcome.finished, 1),
                    "searched": None if outcome.searched is None else rounded(outcome.searched),
                }
                for label, outcome in self.outcomes.items()
            },
        }

    def write(self, path: str | Path) -> Path:
        """Writes `to_json` to a file."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.to_json(), allow_nan=False) + "\n")
        return path

    @classmethod
    def read(cls, path: str | Path) -> Comparison:
        """Reads what `write` wrote.

        Raises:
            DataError: The file is not a comparison.
        """
        try:
            data = parse_json(Path(path).read_text())
            outcomes = {
                label: Outcome(
                    label,
                    found["strategy"],
                    _array(found["regret"]),
                    np.array(found["rows"], dtype=np.int64),
                    _array(found["observed"]),
                    None if found["finished"] is None else _array(found["finished"]),
                    _array(found["seconds_per_run"]),
                    None if found.get("searched") is None else _array(found["searched"]),
                )
                for label, found in data.pop("strategies").items()
            }
            data.pop("summary")
            return cls(outcomes, data.pop("settings"), data)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise DataError("not a comparison", where=str(path), why=f"{type(error).__name__}: {error}") from error


def rounded(values: Floats, digits: int | None = 6) -> list[Any]:
    """Numbers as plain data, None for NaN.

    Args:
        values: Array of any shape.
        digits: Digits behind the point; None keeps all.
    """
    if values.ndim > 1:
        return [rounded(row, digits) for row in values]
    return [None if math.isnan(v) else v if digits is None else round(v, digits) for v in values.tolist()]


def _array(values: Sequence[Any]) -> Floats:
    return np.array(
        [[np.nan if v is None else v for v in row] if isinstance(row, list) else row for row in values],
        dtype=np.float64,
    )
