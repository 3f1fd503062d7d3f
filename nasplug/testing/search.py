"""Runs a strategy on a small problem, in any order of finishing, to any cut: what the suites and authors need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nasplug.contract.records import Trial
from nasplug.ledger.artifacts import artifact_folder, new_identifier
from nasplug.ledger.storage import open_storage
from nasplug.ledger.study import Study
from nasplug.plugins.component import Component
from nasplug.plugins.discovery import discover
from nasplug.run.assemble import Assembly, compose
from nasplug.run.executors import Executor, InlineExecutor
from nasplug.run.loop import Listener, Search
from nasplug.run.spec import RunSpec
from nasplug.testing.synthetic import SyntheticEvaluator, SyntheticSpace


class Interrupted(Exception):
    """Ends a search where a test asked for it, as a killed driver would."""


def run_search(
    strategy: Any,
    *,
    space: Any = None,
    evaluator: Any = None,
    task: Any = None,
    objectives: Mapping[str, str] | None = None,
    constraints: Sequence[str] = (),
    costs: Mapping[str, Any] | None = None,
    enqueue: Sequence[Any] = (),
    trials: int = 40,
    epochs: int = 9,
    batch: int = 4,
    seed: int = 0,
    storage: str | Path | None = None,
    shuffle: int | None = None,
    stop_after: int | None = None,
) -> Study:
    """Searches the synthetic problem, or a given one, in this process.

    Args:
        strategy: A strategy object, a slug or a component. An object that has searched before is not fit for another
            search.
        space: Default: :class:`SyntheticSpace`.
        evaluator: Default: :class:`SyntheticEvaluator`.
        task: Default: none.
        objectives: Default: the evaluator's first.
        constraints: Such as `"params <= 100"`.
        costs: Cost plugins by their name.
        enqueue: Genotypes to evaluate first.
        trials: Number of trials.
        epochs: Epochs per trial; enough by default for strategies that divide them.
        batch: How many trials are proposed ahead of results.
        seed: Of every random stream.
        storage: A study file; an existing one is resumed.
        shuffle: Finishes the running trials in a random order drawn from this seed, as uneven workers would.
        stop_after: Stops, as if killed, when this many trials were observed.

    Raises:
        Interrupted: After `stop_after` trials.
        NasplugError: As for :func:`nasplug.search`.
    """
    # A cost answers under its own name, so that it needs one even when it is given as an object.
    objects: dict[str, Any] = {f"costs[{i}]": cost for i, cost in enumerate((costs or {}).values())}

    def given(key: str, value: Any) -> Any:
        if isinstance(value, (str, Mapping, Component)):
            return value
        objects[key] = value
        return Component(f"{type(value).__module__}.{type(value).__qualname__}", is_path=True)

    spec = RunSpec.parse(
        {
            "space": given("space", SyntheticSpace() if space is None else space),
            "strategy": given("strategy", strategy),
            "evaluator": given("evaluator", SyntheticEvaluator() if evaluator is None else evaluator),
            "task": None if task is None else given("task", task),
            "objectives": dict(objectives or {}),
            "constraints": list(constraints),
            "costs": [Component(name) for name in costs or {}],
            "enqueue": list(enqueue),
            "budget": {"trials": trials, "epochs": epochs},
            "run": {"batch": batch, "seed": seed},
        }
    )
    assembly = compose(spec, discover().catalog, objects)
    store = open_storage(storage)
    try:
        if not store.meta():
            store.write_meta({"id": new_identifier(), "spec": assembly.spec.to_plain()})
        study = assembly.study(folder=artifact_folder(storage, store.meta().get("id")))
        listener = None if stop_after is None else _StopAfter(stop_after)
        search = Search(assembly, study, store, listener=listener)
        if shuffle is not None:
            search = _Shuffled(assembly, study, store, listener, shuffle)
        return search.run()
    finally:
        store.close()


def outcome(study: Study) -> list[dict[str, Any]]:
    """Everything about the trials that a repeated run must reproduce: all but wall time and tracebacks."""
    records = [trial.to_json() for trial in study.trials]
    for record in records:
        record.pop("seconds", None)
        record.get("failure", {}).pop("traceback", None)
    return records


class _Shuffled(Search):
    """A search whose running trials finish in random order, some of them together."""

    def __init__(self, assembly: Assembly, study: Study, storage: Any, listener: Listener | None, shuffle: int) -> None:
        super().__init__(assembly, study, storage, listener=listener)
        self._rng = np.random.default_rng(shuffle)

    def _make_executor(self) -> Executor:
        return _ShuffledExecutor(self.assembly, self._rng)


class _ShuffledExecutor(InlineExecutor):
    def __init__(self, assembly: Assembly, rng: np.random.Generator) -> None:
        super().__init__(assembly, None, lambda number, measurement: None)
        self._rng = rng

    def finished(self) -> list[Trial]:
        """Runs some of the queued jobs, any of them first."""
        done = []
        for _ in range(int(self._rng.integers(1, len(self._jobs) + 1))):
            self._jobs.rotate(int(self._rng.integers(len(self._jobs))))
            done += super().finished()
        return done


class _StopAfter:
    """Raises in the driver when enough trials were observed."""

    def __init__(self, count: int) -> None:
        self._left = count

    def started(self, search: Search) -> None:
        """Nothing to do."""

    def submitted(self, trial: Trial) -> None:
        """Nothing to do."""

    def measured(self, number: int, measurement: Any) -> None:
        """Nothing to do."""

    def observed(self, trial: Trial) -> None:
        """Counts."""
        self._left -= 1
        if self._left <= 0:
            raise Interrupted

    def ended(self) -> None:
        """Nothing to do."""
