"""Looks results up instead of training: a table as the evaluator of a search."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from nasplug.contract.errors import DataError, SpecError, TrialError, did_you_mean
from nasplug.contract.hookspecs import hookimpl
from nasplug.contract.protocols import SearchSpace, Tabulates
from nasplug.contract.records import Architecture, Direction, Evaluation, Measurement
from nasplug.contract.wording import plural
from nasplug.evaluate.trialrun import TrialRun
from nasplug_tables.results import Floats, collect, missing
from nasplug_tables.rows import Index, trained_part
from nasplug_tables.table import Table

#: Prefixes of metrics that a search may see when there are some, and of those it may see otherwise.
_VALIDATION, _TEST = ("val", "valid", "x_valid"), ("test",)
TIME = "train_time"
#: Whether a trial gets one of the table's training runs or their mean.
Noise: TypeAlias = Literal["draw", "mean"]


class TabularBenchmark:
    """Answers a trial from a table.

    Without `metrics`, a search sees validation metrics and training times; test metrics only where a table has
    nothing else (such as the public extracts of NAS-Bench-101), and then results are not comparable with published
    ones that select on validation.

    Args:
        path: A Parquet file, or a `Table`.
        space: Space of the architectures; default: what the table says, or what its columns look like.
        metrics: Metrics that trials report, without budget and seed, such as `val_acc`.
        noise: `draw` answers one of the table's training runs, picked by the trial's seed, as a real training would;
            `mean` answers the mean over runs. A table of means leaves no choice.
        schedule: `longest` answers every trial from the longest training; `budget` from the one that has exactly the
            trial's epochs, for strategies that start short.

    Attributes:
        table: The table.
        space: The space.

    Raises:
        DataError: The table is unreadable, has no results, or lacks a column.
        SpecError: The space has no tables.
    """

    def __init__(
        self,
        path: str | Path | Table,
        space: SearchSpace | None = None,
        metrics: Sequence[str] | None = None,
        noise: Noise = "draw",
        schedule: Literal["longest", "budget"] = "longest",
    ) -> None:
        for name, value, allowed in (("noise", noise, get_args(Noise)), ("schedule", schedule, ("longest", "budget"))):
            if value not in allowed:
                raise SpecError(f"{name} is {value!r}", where="tabular", fix=did_you_mean(str(value), allowed))
        self.table = path if isinstance(path, Table) else Table.read(path)
        self.space: Any = space if space is not None else space_of(self.table)
        if not isinstance(self.space, Tabulates):
            raise SpecError(f"the space {self.space.name!r} has no tables", where="tabular", why="it is not Tabulates")
        self.noise, self.schedule = noise, schedule
        self._index = Index(self.space.codes(self.table.need(self.space.table_columns)), self.table.where)
        self._refuse_repeated()
        self._runs = collect(self.table)
        self.metrics = self._chosen(metrics)

    @classmethod
    def nasplug_examples(cls) -> list[Mapping[str, Any]]:
        """What `nasplug test-plugin` tests it with."""
        from nasplug_tables.examples import example

        return [{"path": example()}]

    @classmethod
    def nasplug_conformance(cls) -> Mapping[str, Any]:
        """What `nasplug test-plugin` tests it on."""
        from nasplug_tables.examples import suite

        return suite()

    # -- the table by architecture -------------------------------------------------------------------------------

    def row(self, architecture: Architecture) -> int:
        """The row of an architecture.

        Raises:
            TrialError: The table does not have it.
        """
        return self._index.row(architecture, self.space)

    def rows(self, architectures: Iterable[Architecture]) -> npt.NDArray[np.int64]:
        """The rows of several architectures, shape (architectures,).

        Raises:
            TrialError: The table does not have one of them.
        """
        return np.array([self.row(architecture) for architecture in architectures], dtype=np.int64)

    def architecture(self, row: int) -> Architecture:
        """The architecture of a row."""
        found: Architecture = self.space.from_code(int(self._codes[row]))
        return found

    @cached_property
    def _codes(self) -> npt.NDArray[np.int64]:
        return self._index.codes()

    def known(self) -> list[str]:
        """All metrics of the table."""
        return list(self._runs)

    def budgets(self, metric: str) -> list[int]:
        """Epochs for which the table has a metric, ascending."""
        return sorted(self._runs_of(metric))

    def seeds(self, metric: str, budget: int | None = None) -> int:
        """How many training runs the table has for a metric."""
        return len(self._budget(metric, budget))

    def missing(self) -> dict[str, int]:
        """How many rows have no result of a metric after its longest training, for the metrics where some have none."""
        return missing(self._runs)

    def values(self, metric: str, budget: int | None = None, seed: int | None = None) -> Floats:
        """A metric for all rows, shape (rows,).

        Args:
            metric: Metric, for example `val_acc`.
            budget: Epochs; default: the longest training.
            seed: Seed of one of the runs; default: their mean, without missing ones.

        Raises:
            DataError: The table does not have it.
        """
        runs = self._budget(metric, budget)
        if seed is None:
            return self._mean(metric, self.budgets(metric)[-1] if budget is None else budget)
        if not 0 <= seed < len(runs):
            raise DataError(f"there is no run {seed} of {metric!r}", where=self.table.where, why=f"runs: {len(runs)}")
        return runs[seed]

    def best(self, metric: str, budget: int | None = None) -> tuple[float, int]:
        """The best mean value in the table, and its row; the smallest for losses, errors and times.

        Raises:
            DataError: No row has a value.
        """
        values = self.values(metric, budget)
        if np.isnan(values).all():
            epochs = plural(self.budgets(metric)[-1] if budget is None else budget, "epoch")
            raise DataError(
                f"no row has a result of {metric!r} after {epochs}",
                where=self.table.where,
                fix="leave the empty columns out",
            )
        row = int(np.nanargmax(values) if direction(metric) == "max" else np.nanargmin(values))
        return float(values[row]), row

    # -- the evaluator -------------------------------------------------------------------------------------------

    @property
    def objectives(self) -> dict[str, Direction]:
        """The metrics a search sees, with their direction."""
        return {metric: direction(metric) for metric in self.metrics}

    @hookimpl
    def evaluate(self, run: TrialRun) -> Evaluation | None:
        """See the hook: one look-up per metric, and one measurement per budget the trial passes through.

        Raises:
            TrialError: No such row, or the row has no value.
            SpecError: The table has no training of the trial's budget.
        """
        trial = run.trial
        _, architecture = trained_part(run.space, trial.architecture, self.space.name)
        if architecture.space != self.space.name:
            return None
        row = self.row(architecture)
        longest = self.budgets(self.metrics[0])
        if self.schedule == "longest":
            budget = longest[-1]
        else:
            budget = run.budget.epochs
            if budget not in longest:
                raise SpecError(
                    f"the table has no training of {plural(budget, 'epoch')}",
                    where=self.table.where,
                    why=f"it has {', '.join(map(str, longest))}",
                    fix="set budget.epochs, or the rungs of the strategy, to one of these",
                )
        if len(longest) == 1:
            return Evaluation(self._answer(row, budget, trial.seed))
        for epochs in longest[: longest.index(budget) + 1]:
            measurement = Measurement(epochs - 1, self._answer(row, epochs, trial.seed))
            reason = run.report(measurement)
            if reason is not None:
                return Evaluation(measurement.metrics, tuple(run.measurements), pruned=reason)
        return Evaluation(run.measurements[-1].metrics, tuple(run.measurements))

    def _answer(self, row: int, budget: int, seed: int) -> dict[str, float]:
        found = {}
        for metric in self.metrics:
            by_budget = self._runs[metric]
            if budget not in by_budget:  # such as training times, which may be known for some schedules only
                continue
            runs = by_budget[budget]
            if len(runs) == 1:
                value = float(runs[0][row])
            elif self.noise == "mean":
                value = float(self._mean(metric, budget)[row])
            else:  # the same run for every metric of a trial, unless that one is missing
                present = [run for run in runs if run[row] == run[row]]
                value = float(present[seed % len(present)][row]) if present else float("nan")
            if value != value:
                raise TrialError("data", f"the table has no {metric} of this architecture", where=self.table.where)
            found[metric] = value
        return found

    # -- set-up --------------------------------------------------------------------------------------------------

    def _refuse_repeated(self) -> None:
        double = self._index.repeated()
        if double is None:
            return
        earlier, later = double
        raise DataError(
            "two rows hold one architecture",
            where=self.table.where,
            why=f"data row {later + 1} repeats row {earlier + 1}: {self.architecture(later).key}",
            fix="write several trainings of one architecture as columns METRIC_EPOCHS_seedN of one row; "
            "or name all columns that tell architectures apart as choices",
        )

    def _chosen(self, metrics: Sequence[str] | None) -> tuple[str, ...]:
        if metrics is not None:
            for metric in metrics:
                self._runs_of(metric)
            if metrics:
                return tuple(metrics)
        for prefixes in (_VALIDATION, _TEST):
            found = [metric for metric in self._runs if metric.split("_")[0] in prefixes]
            if found:
                return (*found, *([TIME] if TIME in self._runs else []))
        return tuple(self._runs)

    @cached_property
    def _means(self) -> dict[tuple[str, int], Floats]:
        return {}

    def _mean(self, metric: str, budget: int) -> Floats:
        if (metric, budget) not in self._means:
            runs = np.stack(self._runs[metric][budget])
            count = (~np.isnan(runs)).sum(axis=0)
            with np.errstate(invalid="ignore"):
                self._means[metric, budget] = np.nansum(runs, axis=0) / np.where(count, count, np.nan)
        return self._means[metric, budget]

    def _runs_of(self, metric: str) -> dict[int, list[Floats]]:
        if metric not in self._runs:
            raise DataError(
                f"there is no metric {metric!r}",
                where=self.table.where,
                why=f"it has {', '.join(self._runs)}",
                fix=did_you_mean(metric, self._runs),
            )
        return self._runs[metric]

    def _budget(self, metric: str, budget: int | None) -> list[Floats]:
        by_budget = self._runs_of(metric)
        wanted = max(by_budget) if budget is None else budget
        if wanted not in by_budget:
            raise DataError(
                f"there is no {metric!r} after {plural(wanted, 'epoch')}",
                where=self.table.where,
                why=f"it has {', '.join(map(str, sorted(by_budget)))}",
            )
        return by_budget[wanted]


def direction(metric: str) -> Direction:
    """`min` for losses, errors, times and costs; `max` for everything else."""
    words = set(metric.split("_"))
    return "min" if words & {"loss", "error", "err", "time", "latency", "energy", "flops", "params"} else "max"


def space_of(table: Table, plugins: Iterable[str | Path] = ()) -> Any:
    """The space of a table: what the table says, what its columns look like, or the choices that it states.

    Args:
        table: The table.
        plugins: Paths of single-file plugins that may have the space, beside the installed ones.

    Raises:
        DataError: The table does not say it, or nobody has a space of that name.
        SpecError: The space needs arguments.
    """
    from nasplug.plugins.component import Component, instantiate
    from nasplug.plugins.discovery import discover
    from nasplug_tables.spaces.columns import ColumnSpace
    from nasplug_tables.spaces.nasbench101 import NASBench101
    from nasplug_tables.spaces.nasbench201 import NASBench201

    known: dict[str, Any] = {"nasbench101": NASBench101, "nasbench201": NASBench201}
    named = table.info.get("space")
    if named is None and "adj_bits" in table.columns:
        named = "nasbench101"
    if named is None and "ops" in table.columns and table.columns["ops"].dtype.itemsize == 6:
        named = "nasbench201"
    if named in known:
        return known[named]()
    catalog = discover(plugins).catalog
    if named is not None and catalog.has("space", str(named)):
        return instantiate("space", Component(str(named)), catalog, where=table.where)
    if "choices" in table.info:
        return ColumnSpace(table)
    if named is not None:
        raise DataError(
            f"the table is of space {str(named)!r}, which no loaded plugin has",
            where=table.where,
            fix="install the package of the benchmark, or load its file with --plugin; "
            "`{table: {path: FILE}}` makes a space of the columns that hold no results",
        )
    raise DataError(
        "the table does not state its space",
        where=table.where,
        why=f"its columns are {', '.join(table.columns)}",
        fix="give the space as well; `{table: {path: FILE}}` makes one of the columns that hold no results",
    )
