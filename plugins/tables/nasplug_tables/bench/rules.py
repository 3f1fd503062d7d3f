"""The rules of a comparison."""

from __future__ import annotations

from dataclasses import dataclass

from nasplug_tables.benchmark import Noise


@dataclass(frozen=True)
class Rules:
    """What the searches of a comparison see, and what counts in the end.

    Attributes:
        objective: Metric that the searches see; None means the table's first validation metric, or test metric.
        test: Metric that counts in the end; None means the table's first test metric, or the objective.
        convention: Convention by which curves are read, one of `nasplug_tables.bench.CONVENTIONS`.
        noise: `draw` shows a search one training run per query, `mean` the mean over runs.
        batch: Number of queries proposed before the oldest is answered.
        clock: Whether the queries of a batch run side by side on a simulated clock, by the table's training times, and
            are answered in the order in which they would end.
    """

    objective: str | None = None
    test: str | None = None
    convention: str = "incumbent_test"
    noise: Noise = "draw"
    batch: int = 1
    clock: bool = False
