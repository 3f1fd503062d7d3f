"""Runs a strategy on a small problem, in any order of finishing, to any cut: what the suites and authors need."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from nasplug.contract.jsondata import Json
from nasplug.contract.protocols import Executor
from nasplug.contract.records import Failure, Trial
from nasplug.contract.tracker import Tracker
from nasplug.ledger.artifacts import artifact_folder, new_identifier
from nasplug.ledger.storage import open_storage
from nasplug.ledger.study import Study
from nasplug.plugins.component import Component
from nasplug.plugins.discovery import discover
from nasplug.run.assemble import compose
from nasplug.run.executors.inline import InlineExecutor
from nasplug.run.loop import Search
from nasplug.run.parts import PART, plain_or_object
from nasplug.run.spec import RunSpec
from nasplug.testing.synthetic import SyntheticEvaluator, SyntheticSpace


class Interrupted(Exception):
    """Ends a search where a test asked for it, as a killed driver would."""


def run_search(
    strategy: Any,
    *,
    costs: Mapping[str, Any] | None = None,
    trials: int = 40,
    epochs: int = 9,
    batch: int = 4,
    seed: int = 0,
    storage: str | Path | None = None,
    shuffle: int | None = None,
    stop_after: int | None = None,
    snapshot_every: float = 5.0,
    executor: Executor | None = None,
    **more: Any,
) -> Study:
    """Searches the synthetic problem, or a given one, in this process.

    Args:
        strategy: A strategy object, a slug or a component. An object that has searched before is not fit for another
            search.
        costs: Cost plugins by their name.
        trials: Number of trials.
        epochs: Epochs per trial; enough by default for strategies that divide them.
        batch: Number of trials proposed ahead of results.
        seed: Seed of every random stream.
        storage: A study file; an existing one is resumed.
        shuffle: Finishes the running trials in a random order drawn from this seed, as uneven workers would.
        stop_after: Stops, as if killed, when this many trials were observed.
        snapshot_every: Seconds between snapshots of the strategy's state; 0 takes one after every trial.
        executor: Executor, not started yet, that runs the jobs; default: one after the other in this process.
        **more: Any further keys of a specification (`space`, `evaluator`, `task`, `objectives`, `constraints`,
            `enqueue`, `stoppers`, `trackers`, ...), with objects where it has components; `run` adds options. Default:
            `SyntheticSpace` and `SyntheticEvaluator`.

    Raises:
        Interrupted: After `stop_after` trials.
        NasplugError: As for `nasplug.search`.
    """
    # A cost answers under its own name, so that it needs one even when it is given as an object.
    objects: dict[str, Any] = {f"costs[{i}]": cost for i, cost in enumerate((costs or {}).values())}
    options = dict(more.pop("run", {}))
    given = {"space": None, "evaluator": None, "strategy": strategy, **more}
    given["space"] = SyntheticSpace() if given["space"] is None else given["space"]
    given["evaluator"] = SyntheticEvaluator() if given["evaluator"] is None else given["evaluator"]
    spec = RunSpec.parse(
        {
            **{key: plain_or_object(key, value, objects) if key in PART else value for key, value in given.items()},
            "costs": [Component(name) for name in costs or {}],
            "budget": {"trials": trials, "epochs": epochs},
            # Tests make trials fail as they please, and count what was trained.
            "run": {"batch": batch, "seed": seed, "give_up_after": 0, "rehearse": False, **options},
        }
    )
    assembly = compose(spec, discover().catalog, objects)
    store = open_storage(storage)
    try:
        if not store.meta():
            store.write_meta({"id": new_identifier(), "spec": assembly.spec.to_plain()})
        ledger = assembly.ledger(folder=artifact_folder(storage, store.meta().get("id")))
        followers = [] if stop_after is None else [_StopAfter(stop_after)]
        where = InlineExecutor(shuffle) if executor is None else executor
        Search(assembly, ledger, store, where, objects=objects, trackers=followers, snapshot_every=snapshot_every).run()
        return ledger.result(lambda: assembly)
    finally:
        store.close()


def outcome(study: Study) -> list[dict[str, Json]]:
    """Everything about the trials that a repeated run must reproduce: all but wall time and tracebacks."""
    return [trial.with_(seconds=0.0, failure=_without_traceback(trial.failure)).to_json() for trial in study.trials]


def _without_traceback(failure: Failure | None) -> Failure | None:
    return None if failure is None else replace(failure, traceback="")


class _StopAfter(Tracker):
    """Raises in the driver when enough trials were observed."""

    def __init__(self, count: int) -> None:
        self._left = count

    def observed(self, trial: Trial) -> None:
        """Counts."""
        self._left -= 1
        if self._left <= 0:
            raise Interrupted
