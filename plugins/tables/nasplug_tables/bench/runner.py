"""Runs strategies x seeds on a table, on all cores, with the same search loop that trains networks."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from nasplug import __version__
from nasplug.contract.errors import PluginError, SpecError
from nasplug.contract.protocols import SearchSpace
from nasplug.contract.wording import plural
from nasplug.plugins.component import Component
from nasplug.run.api import search
from nasplug.run.processes import context, prepare
from nasplug.run.versions import machine, versions
from nasplug_tables.bench.comparison import Comparison, Outcome
from nasplug_tables.bench.curves import Scale
from nasplug_tables.bench.keeping import Kept, Run, facts_of
from nasplug_tables.bench.rules import Rules
from nasplug_tables.benchmark import TIME, TabularBenchmark, space_of
from nasplug_tables.table import Table

#: In every comparison, whoever else is compared.
BASELINES = ("random", "regularized_evolution")
#: Called with (runs done, runs in all, label of the last one).
Progress = Callable[[int, int, str], None]
Job = tuple[str, Component, int]


def compare(
    table: str | Path | Table,
    strategies: Mapping[str, Any] | Sequence[Any],
    *,
    space: SearchSpace | None = None,
    queries: int = 150,
    seeds: int | Sequence[int] = 20,
    rules: Rules = Rules(),
    workers: int = 1,
    baselines: bool = True,
    plugins: Sequence[str | Path] = (),
    progress: Progress | None = None,
    keep: str | Path | None = None,
) -> Comparison:
    """Compares strategies on a table of results.

    Args:
        table: A Parquet file, or a table.
        strategies: Slugs or components, by label or bare.
        space: Space of the table's architectures; default: what the table says.
        queries: Trials per run; a repeated proposal counts, and is answered as before.
        seeds: Number of seeds, or the seeds themselves.
        rules: Rules of what the searches see and what counts in the end.
        workers: Processes; they change nothing but the time. A script that asks for several must be importable, with
            its work under `if __name__ == "__main__":`.
        baselines: Add random search and regularized evolution, if they are not among the strategies.
        plugins: Paths of single-file plugins.
        progress: Callback, called after every run.
        keep: Folder to which every run is written as it ends, and from which runs of the same kind are taken instead of
            being run again: after an interruption, or for more seeds and strategies.

    Raises:
        NasplugError: Bad input, or a strategy that fails.
    """
    read = table if isinstance(table, Table) else Table.read(table)
    benchmark = TabularBenchmark(read, space_of(read, plugins) if space is None else space, noise=rules.noise)
    objective = rules.objective or benchmark.metrics[0]
    benchmark.values(objective)  # raises if there is none of this name
    tests = [metric for metric in benchmark.known() if metric.startswith("test")]
    scale = Scale(benchmark, objective, rules.test or (tests[0] if tests else objective), rules.convention)
    numbers = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not numbers or queries < 1:
        raise SpecError(
            "nothing to compare", where="bench", why=f"{plural(queries, 'query')}, {plural(len(numbers), 'seed')}"
        )
    if rules.clock and TIME not in benchmark.known():
        raise SpecError("a simulated clock needs training times", where="bench", why=f"the table has no {TIME}")
    named = _labelled(strategies, baselines)
    setting = _Setting(
        table, benchmark.space, queries, replace(rules, objective=objective), tuple(str(path) for path in plugins)
    )
    jobs = [(label, component, seed) for seed in numbers for label, component in named.items()]
    kept = None
    if keep is not None:
        facts = facts_of(benchmark.table, benchmark.space, queries, setting.rules, setting.plugins, __version__)
        kept = Kept(keep, facts)
    found = _run_all(jobs, setting, workers, progress, kept)
    searched = Scale(benchmark, objective, scale.test, "validation")
    outcomes = {}
    for label, component in named.items():
        runs = [found[label, seed] for seed in numbers]
        rows, observed = np.stack([run["rows"] for run in runs]), np.stack([run["observed"] for run in runs])
        outcomes[label] = Outcome(
            label,
            component.to_plain(),
            np.stack([scale.regret(r, o) for r, o in zip(rows, observed, strict=True)]),
            rows,
            observed,
            np.stack([run["finished"] for run in runs]) if rules.clock else None,
            np.array([run["seconds"] for run in runs]),
            np.array([searched.regret(r, o)[-1] for r, o in zip(rows, observed, strict=True)]),
        )
    settings = {
        "table": "given as an object" if isinstance(table, Table) else Path(table).name,
        "space": benchmark.space.name,
        **dict(benchmark.table.info),
        "objective": objective,
        "test": scale.test,
        "convention": rules.convention,
        "unit": scale.unit,
        "optimum": scale.optimum,
        "floor": scale.floor,
        "noise": rules.noise,
        "queries": queries,
        "seeds": numbers,
        "batch": rules.batch,
        "clock": rules.clock,
    }
    now = datetime.now(UTC).date().isoformat()
    return Comparison(outcomes, settings, {"date": now, "machine": machine(), "versions": versions()})


def _labelled(strategies: Mapping[str, Any] | Sequence[Any], baselines: bool) -> dict[str, Component]:
    pairs = list(strategies.items()) if isinstance(strategies, Mapping) else [(None, item) for item in strategies]
    found: dict[str, Component] = {}
    for given, value in pairs:
        component = Component.parse(value, where="strategy")
        label = given or component.name
        if label in found:
            raise SpecError(f"two strategies are called {label!r}", where="bench", fix="label them: NAME=STRATEGY")
        found[label] = component
    if baselines:
        found = {**{name: Component(name) for name in BASELINES if name not in found}, **found}
    return found


def _run_all(
    jobs: list[Job], setting: _Setting, workers: int, progress: Progress | None, kept: Kept | None
) -> dict[tuple[str, int], Run]:
    found: dict[tuple[str, int], Run] = {}

    def done(job: Job, result: Run, *, new: bool = True) -> None:
        label, component, seed = job
        if kept is not None and new:
            kept.put(label, component.to_plain(), seed, result)
        found[label, seed] = result
        if progress is not None:
            progress(len(found), total, label)

    total = len(jobs)
    if kept is not None:
        for job in jobs:
            before = kept.get(job[0], job[1].to_plain(), job[2])
            if before is not None:
                done(job, before, new=False)
        jobs = [job for job in jobs if (job[0], job[2]) not in found]
    if not jobs:
        return found
    if workers == 1 or len(jobs) == 1:
        _start(setting)
        for job in jobs:
            done(job, _run(job))
        return found
    try:
        given = pickle.dumps(setting)
    except Exception as error:
        raise SpecError(
            "the space or the table cannot be sent to worker processes",
            where="bench",
            why=f"{type(error).__name__}: {error}",
            fix="define the space's class in an importable module or a plugin file, or use workers=1",
        ) from error
    prepare(training=False)
    # Workers are many and short-lived computations share no memory: one thread each.
    start = (given, setting.plugins, dict(os.environ))
    pool = ProcessPoolExecutor(min(workers, len(jobs)), context(), _start_worker, start)
    with pool:
        futures = {pool.submit(_run, job): job for job in jobs}
        try:
            for future in as_completed(futures):
                done(futures[future], future.result())
        except BrokenProcessPool as error:
            raise PluginError(
                "a worker process died",
                where="bench",
                why="a strategy brought it down, it ran out of memory, or the calling script cannot be imported",
                fix='in a script, put the call under `if __name__ == "__main__":`; or use workers=1 to see the reason',
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return found


@dataclass(frozen=True)
class _Setting:
    """What all runs share; the objective is named."""

    table: str | Path | Table
    space: SearchSpace
    queries: int
    rules: Rules
    plugins: tuple[str, ...]


class _Process:
    """What a process keeps between runs."""

    benchmark: TabularBenchmark
    setting: _Setting


def _start_worker(given: bytes, plugins: Sequence[str], environment: dict[str, str]) -> None:
    from nasplug.plugins.discovery import discover
    from nasplug.run.processes import enter

    enter(environment, threads=1)
    discover(plugins)  # first: single-file plugins may define the class of the space
    # Pickle made by the driver a moment ago, over its own pipe; never from a file.
    _start(pickle.loads(given))


def _start(setting: _Setting) -> None:
    _Process.setting = setting
    metrics = [str(setting.rules.objective), *([TIME] if setting.rules.clock else [])]
    _Process.benchmark = TabularBenchmark(setting.table, setting.space, metrics=metrics, noise=setting.rules.noise)


def _run(job: Job) -> Run:
    _, component, seed = job
    benchmark, setting = _Process.benchmark, _Process.setting
    objective, clock = str(setting.rules.objective), TIME if setting.rules.clock else None
    started = time.perf_counter()
    study = search(
        None,
        space=benchmark.space,
        evaluator=benchmark,
        strategy=component,
        objectives={objective: benchmark.objectives[objective]},
        trials=setting.queries,
        batch=setting.rules.batch,
        clock=clock,
        seed=seed,
        plugins=setting.plugins,
        progress=False,
    )
    seconds = time.perf_counter() - started
    rows, observed = np.full(setting.queries, -1, dtype=np.int64), np.full(setting.queries, np.nan)
    finished = np.full(setting.queries, np.nan)
    for index, trial in enumerate(study.trials):  # a strategy may end before its budget does
        if trial.state == "complete":
            rows[index] = benchmark.row(trial.architecture)
            observed[index] = trial.metrics[objective]
        finished[index] = study.finished_at(trial) if clock else np.nan
    return {"rows": rows, "observed": observed, "finished": finished, "seconds": seconds}
