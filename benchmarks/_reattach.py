"""A search whose driver is killed and resumed: the evaluator that notes what begins, and the program of a driver.

This file is a single-file plugin as well, which travels to the workers.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nasplug as nas
from nasplug.run.api import run_spec
from nasplug.run.spec import RunSpec
from nasplug.testing import SyntheticEvaluator, SyntheticSpace

NASPLUG_CONTRACT = "2.0"
PROGRAM = """
import json, sys
from nasplug.run.api import run_spec
from nasplug.run.spec import RunSpec

run_spec(RunSpec.parse(json.loads(sys.argv[1])))
"""


@nas.hookimpl
def register(catalog: nas.Catalog) -> None:
    """Announces the space and the evaluator."""
    catalog.space("chain", f"{__name__}:Chain", summary="A chain of operations.")
    catalog.evaluator("noting", f"{__name__}:Noting", summary="Notes in a file what begins, and sleeps.")


class Chain(SyntheticSpace):
    """A chain of four operations."""

    def __init__(self) -> None:
        super().__init__(length=4)


class Noting(SyntheticEvaluator):
    """Notes in a file what begins, and sleeps.

    Args:
        log: Path of the file.
        seconds: Length of a trial.
    """

    def __init__(self, log: str, seconds: float) -> None:
        super().__init__()
        self.log, self.seconds = log, seconds

    @nas.hookimpl
    def evaluate(self, run: nas.TrialRun) -> nas.Evaluation:
        """Sleeps, and answers as the synthetic evaluator does."""
        with Path(self.log).open("a") as file:
            file.write(f"{run.number}\n")
        time.sleep(self.seconds)
        return super().evaluate(run)


def plain(folder: Path, executor: Any, seconds: float, trials: int) -> dict[str, Any]:
    """The search as plain data."""
    return {
        "space": "chain",
        "strategy": {"regularized_evolution": {"population_size": 6, "tournament_size": 3}},
        "evaluator": {"noting": {"log": str(folder / "log"), "seconds": seconds}},
        "budget": {"trials": trials, "epochs": 2},
        "plugins": [str(Path(__file__).resolve())],
        "run": {
            "batch": 8,
            "workers": 1 if executor == "inline" else 4,
            "executor": executor,
            "storage": str(folder / "s.sqlite"),
            "rehearse": False,
        },
    }


def reattached(address: str, folder: Path, *, seconds: float = 10.0, trials: int = 24) -> dict[str, Any]:
    """Kills a driver after its ninth trial has begun, resumes it, and compares with one process."""
    driver = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, json.dumps(plain(folder, {"ray": {"address": address}}, seconds, trials))]
    )
    log = folder / "log"
    while not log.exists() or len(log.read_text().split()) < 9:
        if driver.poll() is not None:
            raise RuntimeError("the driver ended before it was killed")
        time.sleep(0.2)
    driver.kill()
    driver.wait()
    begun = len(log.read_text().split())
    study = run_spec(RunSpec.parse(plain(folder, "ray", seconds, trials)))
    alone = folder / "alone"
    alone.mkdir()
    other = run_spec(RunSpec.parse(plain(alone, "inline", 0.0, trials)))
    noted = log.read_text().split()
    return {
        "trials": trials,
        "trial_seconds": seconds,
        "begun_when_the_driver_was_killed": begun,
        "trainings": len(noted),
        "trained_twice": len(noted) - len(set(noted)),
        "identical_to_one_process": [_told(trial) for trial in study.trials] == [_told(t) for t in other.trials],
        "actors_left": len(_actors()),
    }


def _told(trial: nas.Trial) -> tuple[Any, ...]:
    return trial.state, trial.architecture.key, trial.seed, dict(trial.metrics)


def _actors() -> list[str]:
    import ray

    return [one["name"] for one in ray.util.list_named_actors(all_namespaces=True) if "nasplug" in one["namespace"]]
